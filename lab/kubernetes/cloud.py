"""What the keeper asks of OpenStack: the clusters' servers, volumes, ports and floating addresses."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.proxy import Proxy

from lab import paths
from lab.errors import LabError
from lab.kubernetes.machines import Flavor

CLOUD = "lab-keeper"

CLUSTER_KEY = "lab_cluster"
GROUP_KEY = "lab_group"
REVISION_KEY = "lab_revision"
"""Metadata by which the keeper finds its servers again after it was killed."""


class CloudError(LabError):
    """OpenStack refused, or could not be reached (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Would the same request be refused again (a quota, a missing flavor)?"""
        return 400 <= self.status < 500 and self.status not in (401, 408, 409, 429)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A Nova server that belongs to a cluster.

    Attributes:
        launched_at: when it first became ACTIVE, or None.
        fault: Nova's words for status ERROR.
    """

    id: str
    name: str
    status: str
    is_going: bool
    cluster: str
    group: str
    revision: str
    addresses: tuple[str, ...]
    zone: str
    created_at: datetime.datetime
    launched_at: datetime.datetime | None
    fault: str


class Cloud:
    """The connection to OpenStack as the user who runs the clusters' nodes."""

    def __init__(self) -> None:
        # The keeper speaks plain JSON through the SDK's adapters: they know the catalog and the token.
        config = openstack.config.OpenStackConfig(config_files=[str(paths.CLOUDS_YAML)], load_envvars=False)
        connection = openstack.connection.Connection(config=config.get_one(cloud=CLOUD))
        self._compute: Proxy = connection.compute
        self._network: Proxy = connection.network
        self._volume: Proxy = connection.block_storage
        self._flavors: dict[str, Flavor] = {}

    # Servers ----------------------------------------------------------------------------------------

    def servers(self) -> list[Server]:
        """All servers of all clusters."""
        found = _call(self._compute, "GET", "/servers/detail")["servers"]
        return [_server(item) for item in found if CLUSTER_KEY in item["metadata"]]

    def flavor(self, name_or_id: str) -> Flavor:
        """A flavor by name or id.

        Raises:
            CloudError: if there is none.
        """
        if name_or_id not in self._flavors:
            for item in _call(self._compute, "GET", "/flavors/detail")["flavors"]:
                flavor = Flavor(
                    id=item["id"],
                    name=item["name"],
                    vcpus=item["vcpus"],
                    ram_mib=item["ram"],
                    disk_gib=item["disk"],
                )
                self._flavors[flavor.id] = self._flavors[flavor.name] = flavor
        if name_or_id not in self._flavors:
            raise CloudError(404, f"There is no flavor {name_or_id}.")
        return self._flavors[name_or_id]

    def create_server(
        self, *, name: str, flavor: str, image: str, network: str, cluster: str, group: str, revision: str
    ) -> None:
        """Asks for a server on a network; it belongs to the cluster from the moment it exists."""
        body = {
            "name": name,
            "flavorRef": self.flavor(flavor).id,
            "imageRef": image,
            "networks": [{"uuid": network}],
            "metadata": {CLUSTER_KEY: cluster, GROUP_KEY: group, REVISION_KEY: revision},
        }
        _call(self._compute, "POST", "/servers", json={"server": body})

    def delete_server(self, identifier: str) -> None:
        """Deletes a server with its ports; one that is gone is fine."""
        _delete(self._compute, f"/servers/{identifier}")

    # Volumes ----------------------------------------------------------------------------------------

    def volume_named(self, name: str) -> dict[str, Any] | None:
        """A volume by name, or None."""
        found = _call(self._volume, "GET", "/volumes/detail", params={"name": name})["volumes"]
        return found[0] if found else None

    def volume(self, identifier: str) -> dict[str, Any] | None:
        """A volume by id, or None."""
        try:
            found: dict[str, Any] = _call(self._volume, "GET", f"/volumes/{identifier}")["volume"]
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return found

    def create_volume(self, name: str, gibibytes: int, description: str, metadata: dict[str, str]) -> None:
        """Asks for an empty volume."""
        body = {"name": name, "size": gibibytes, "description": description, "metadata": metadata}
        _call(self._volume, "POST", "/volumes", json={"volume": body})

    def extend_volume(self, identifier: str, gibibytes: int) -> None:
        """Asks for a larger volume."""
        body = {"os-extend": {"new_size": gibibytes}}
        _call(self._volume, "POST", f"/volumes/{identifier}/action", json=body)

    def delete_volume(self, identifier: str) -> None:
        """Deletes a volume; one that is gone is fine."""
        _delete(self._volume, f"/volumes/{identifier}")

    # Addresses --------------------------------------------------------------------------------------

    def ports(self, **filters: str) -> list[dict[str, Any]]:
        """The project's ports that match."""
        found: list[dict[str, Any]] = _call(self._network, "GET", "/ports", params=filters)["ports"]
        return found

    def create_port(self, name: str, network: str, description: str) -> dict[str, Any]:
        """Makes a port on a network."""
        body = {"name": name, "network_id": network, "description": description}
        port: dict[str, Any] = _call(self._network, "POST", "/ports", json={"port": body})["port"]
        return port

    def delete_port(self, identifier: str) -> None:
        """Deletes a port; one that is gone is fine."""
        _delete(self._network, f"/ports/{identifier}")

    def floating_ips(self, **filters: str) -> list[dict[str, Any]]:
        """The project's floating addresses that match."""
        found: list[dict[str, Any]] = _call(self._network, "GET", "/floatingips", params=filters)[
            "floatingips"
        ]
        return found

    def create_floating_ip(self, network: str, port: str, description: str) -> dict[str, Any]:
        """Allocates an address from an external network for a port."""
        body = {"floating_network_id": network, "port_id": port, "description": description}
        made: dict[str, Any] = _call(self._network, "POST", "/floatingips", json={"floatingip": body})[
            "floatingip"
        ]
        return made

    def associate_floating_ip(self, identifier: str, port: str | None) -> None:
        """Gives an address to a port, or with None takes it away from the port it has."""
        body = {"floatingip": {"port_id": port}}
        _call(self._network, "PUT", f"/floatingips/{identifier}", json=body)

    def delete_floating_ip(self, identifier: str) -> None:
        """Gives an address back; one that is gone is fine."""
        _delete(self._network, f"/floatingips/{identifier}")


def _server(item: dict[str, Any]) -> Server:
    metadata = item["metadata"]
    launched = item.get("OS-SRV-USG:launched_at")
    return Server(
        id=item["id"],
        name=item["name"],
        status=item["status"],
        is_going=item["status"] in ("DELETED", "SOFT_DELETED")
        or item.get("OS-EXT-STS:task_state") in ("deleting", "soft-deleting"),
        cluster=metadata[CLUSTER_KEY],
        group=metadata.get(GROUP_KEY, ""),
        revision=metadata.get(REVISION_KEY, ""),
        addresses=tuple(
            address["addr"]
            for addresses in item["addresses"].values()
            for address in addresses
            if address.get("OS-EXT-IPS:type") == "fixed"
        ),
        zone=item.get("OS-EXT-AZ:availability_zone") or "nova",
        created_at=_time(item["created"]),
        launched_at=_time(launched) if launched else None,
        fault=item.get("fault", {}).get("message", ""),
    )


def _time(text: str) -> datetime.datetime:
    # Nova writes UTC, some fields with a Z and some without.
    return datetime.datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=datetime.UTC)


def _delete(adapter: Proxy, path: str) -> None:
    try:
        _call(adapter, "DELETE", path)
    except CloudError as error:
        if error.status != 404:
            raise


def _call(adapter: Proxy, method: str, path: str, **arguments: Any) -> Any:
    try:
        answer = adapter.request(path, method, raise_exc=False, timeout=60, **arguments)
    except (ClientException, requests.RequestException) as error:
        raise CloudError(0, f"{adapter.service_type} does not answer: {error}") from error
    if answer.status_code >= 400:
        raise CloudError(answer.status_code, _reason(answer))
    return answer.json() if answer.content else {}


def _reason(answer: requests.Response) -> str:
    try:
        body: Any = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    # {"forbidden": {"message": …}} from Nova and Cinder, {"NeutronError": {"message": …}} from Neutron.
    inner = next(iter(body.values()), body) if isinstance(body, dict) else body
    return str(inner.get("message", inner)) if isinstance(inner, dict) else str(inner)
