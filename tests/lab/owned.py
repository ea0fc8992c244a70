"""What the project owns in the lab's OpenStack, and what of it belongs to one gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from openstack.connection import Connection

Owned = dict[str, set[str]]
"""Ids by kind."""


def _all(cloud: Connection) -> dict[str, list[Any]]:
    own = {"project_id": cloud.current_project_id}
    return {
        "servers": list(cloud.compute.servers()),
        "clusters": list(cloud.container_infrastructure_management.clusters()),
        "volumes": list(cloud.block_storage.volumes()),
        "floating addresses": list(cloud.network.ips(**own)),
        "ports": list(cloud.network.ports(**own)),
        "networks": list(cloud.network.networks(**own)),
        "routers": list(cloud.network.routers(**own)),
        "security groups": list(cloud.network.security_groups(**own)),
        "records": [record for zone in cloud.dns.zones() for record in cloud.dns.recordsets(zone)],
    }


def everything(cloud: Connection) -> Owned:
    """All that the project owns; what every project or zone has is left out."""
    found = _all(cloud)
    common: dict[str, Callable[[Any], bool]] = {
        "security groups": lambda each: each.name == "default",
        "records": lambda each: each.type in ("NS", "SOA"),
    }
    return {
        kind: {str(each.id) for each in listed if not common.get(kind, lambda _: False)(each)}
        for kind, listed in found.items()
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gateway:
    """How a gateway's belongings are told from those of another beside it.

    Attributes:
        name: of its cluster, and of what Pulumi makes for it.
        cluster: the cluster's UUID, by which Kubernetes' drivers mark what they make.
        network: the id of its network.
        host: where its users find it.
    """

    name: str
    cluster: str
    network: str
    host: str

    @classmethod
    def standing(cls, cloud: Connection, name: str, host: str) -> Gateway:
        """The one that stands by this name."""
        cluster = cloud.container_infrastructure_management.find_cluster(name, ignore_missing=False)
        network = cloud.network.find_network(name, ignore_missing=False)
        return cls(name=name, cluster=str(cluster.uuid), network=str(network.id), host=host)

    def owned(self, cloud: Connection) -> Owned:
        """All that is its own."""
        mine: dict[str, Callable[[Any], bool]] = {
            "servers": lambda each: each.metadata.get("lab_cluster") == self.cluster,
            "volumes": lambda each: self.cluster in each.metadata.values() or self._by_name(each),
            "floating addresses": lambda each: each.description.endswith((self.cluster, f" {self.name}")),
            "ports": lambda each: each.network_id == self.network,
            "records": lambda each: each.name.rstrip(".").endswith(self.host),
        }
        return {
            kind: {str(each.id) for each in listed if mine.get(kind, self._by_name)(each)}
            for kind, listed in _all(cloud).items()
        }

    def _by_name(self, each: Any) -> bool:
        return str(each.name).startswith(self.name)
