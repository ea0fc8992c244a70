"""What the keeper asks of OpenStack: the clusters' servers, volumes, ports and floating addresses."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import time
from typing import Any

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException
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
        self._flavors: dict[str, Flavor] = {}
        self._servers: list[Server] = []
        self._servers_at = float("-inf")

    @functools.cached_property
    def _connection(self) -> openstack.connection.Connection:
        # Made at the first question: the keeper may start before OpenStack answers.
        config = openstack.config.OpenStackConfig(config_files=[str(paths.CLOUDS_YAML)], load_envvars=False)
        return openstack.connection.Connection(config=config.get_one(cloud=CLOUD))

    # Servers ----------------------------------------------------------------------------------------

    def servers(self, max_age: float) -> list[Server]:
        """All servers of all clusters.

        Args:
            max_age: seconds; an older answer is asked for again, and so is one from before a change.
        """
        if time.monotonic() - self._servers_at > max_age:
            found = self._call("compute", "GET", "/servers/detail")["servers"]
            self._servers = [_server(item) for item in found if CLUSTER_KEY in item["metadata"]]
            self._servers_at = time.monotonic()
        return self._servers

    def flavor(self, name_or_id: str) -> Flavor:
        """A flavor by name or id.

        Raises:
            CloudError: if there is none.
        """
        if name_or_id not in self._flavors:
            for item in self._call("compute", "GET", "/flavors/detail")["flavors"]:
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
        self._servers_at = float("-inf")
        self._call("compute", "POST", "/servers", json={"server": body})

    def delete_server(self, identifier: str) -> None:
        """Deletes a server with its ports; one that is gone is fine."""
        self._servers_at = float("-inf")
        self._delete("compute", f"/servers/{identifier}")

    # Volumes ----------------------------------------------------------------------------------------

    def volume_named(self, name: str) -> dict[str, Any] | None:
        """A volume by name, or None."""
        found = self._call("block_storage", "GET", "/volumes/detail", params={"name": name})["volumes"]
        return found[0] if found else None

    def volume(self, identifier: str) -> dict[str, Any] | None:
        """A volume by id, or None."""
        try:
            found: dict[str, Any] = self._call("block_storage", "GET", f"/volumes/{identifier}")["volume"]
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        return found

    def create_volume(self, name: str, gibibytes: int, description: str, metadata: dict[str, str]) -> None:
        """Asks for an empty volume."""
        body = {"name": name, "size": gibibytes, "description": description, "metadata": metadata}
        self._call("block_storage", "POST", "/volumes", json={"volume": body})

    def extend_volume(self, identifier: str, gibibytes: int) -> None:
        """Asks for a larger volume."""
        body = {"os-extend": {"new_size": gibibytes}}
        self._call("block_storage", "POST", f"/volumes/{identifier}/action", json=body)

    def delete_volume(self, identifier: str) -> None:
        """Deletes a volume; one that is gone is fine."""
        self._delete("block_storage", f"/volumes/{identifier}")

    # Addresses --------------------------------------------------------------------------------------

    def ports(self, **filters: str) -> list[dict[str, Any]]:
        """The project's ports that match."""
        found: list[dict[str, Any]] = self._call("network", "GET", "/ports", params=filters)["ports"]
        return found

    def create_port(self, name: str, network: str, description: str) -> dict[str, Any]:
        """Makes a port on a network."""
        body = {"name": name, "network_id": network, "description": description}
        port: dict[str, Any] = self._call("network", "POST", "/ports", json={"port": body})["port"]
        return port

    def delete_port(self, identifier: str) -> None:
        """Deletes a port; one that is gone is fine."""
        self._delete("network", f"/ports/{identifier}")

    def floating_ips(self, **filters: str) -> list[dict[str, Any]]:
        """The project's floating addresses that match."""
        found: list[dict[str, Any]] = self._call("network", "GET", "/floatingips", params=filters)[
            "floatingips"
        ]
        return found

    def create_floating_ip(self, network: str, port: str, description: str) -> dict[str, Any]:
        """Allocates an address from an external network for a port."""
        body = {"floating_network_id": network, "port_id": port, "description": description}
        made: dict[str, Any] = self._call("network", "POST", "/floatingips", json={"floatingip": body})[
            "floatingip"
        ]
        return made

    def associate_floating_ip(self, identifier: str, port: str | None) -> None:
        """Gives an address to a port, or with None takes it away from the port it has."""
        body = {"floatingip": {"port_id": port}}
        self._call("network", "PUT", f"/floatingips/{identifier}", json=body)

    def delete_floating_ip(self, identifier: str) -> None:
        """Gives an address back; one that is gone is fine."""
        self._delete("network", f"/floatingips/{identifier}")

    def _delete(self, service: str, path: str) -> None:
        try:
            self._call(service, "DELETE", path)
        except CloudError as error:
            if error.status != 404:
                raise

    def _call(self, service: str, method: str, path: str, **arguments: Any) -> Any:
        # Plain JSON through the SDK's adapters, which know the catalog and renew the token.
        try:
            adapter: Proxy = getattr(self._connection, service)
            answer = adapter.request(path, method, raise_exc=False, timeout=60, **arguments)
        except (ClientException, SDKException, requests.RequestException) as error:
            raise CloudError(0, f"OpenStack's {service} service does not answer: {error}") from error
        if answer.status_code >= 400:
            raise CloudError(answer.status_code, _reason(answer))
        return answer.json() if answer.content else {}


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


def _reason(answer: requests.Response) -> str:
    try:
        body: Any = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    # {"forbidden": {"message": …}} from Nova and Cinder, {"NeutronError": {"message": …}} from Neutron.
    inner = next(iter(body.values()), body) if isinstance(body, dict) else body
    return str(inner.get("message", inner)) if isinstance(inner, dict) else str(inner)
