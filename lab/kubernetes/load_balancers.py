"""Services of type LoadBalancer: a port on the cluster's network and a floating address each."""

from __future__ import annotations

import time
from typing import Any

from lab.kubernetes.api import Object
from lab.kubernetes.cloud import CloudError
from lab.kubernetes.site import Site

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
SOURCE = "service-controller"
RETRY_SECONDS = 5.0


class LoadBalancers:
    """Keeps the load balancers of one cluster's Services. No traffic flows: there is no data plane."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._retry_at: dict[str, float] = {}

    def keep(self) -> None:
        """One round: makes what is missing, removes what is no longer wanted."""
        for service in self._site.services.objects():
            uid = service["metadata"]["uid"]
            if time.monotonic() < self._retry_at.get(uid, 0.0):
                continue
            try:
                self._keep_service(service)
            except CloudError as error:
                self._retry_at[uid] = time.monotonic() + RETRY_SECONDS
                message = f"Error syncing load balancer: {error}"
                self._site.log.warning("service %s: %s", service["metadata"]["name"], error)
                self._tell(service, "SyncLoadBalancerFailed", message, warning=True)

    def _keep_service(self, service: Object) -> None:
        spec = service["spec"]
        has_finalizer = FINALIZER in service["metadata"].get("finalizers", [])
        is_wanted = (
            spec.get("type") == "LoadBalancer"
            and not spec.get("loadBalancerClass")
            and "deletionTimestamp" not in service["metadata"]
        )
        if is_wanted:
            if not service.get("status", {}).get("loadBalancer", {}).get("ingress"):
                self._make(service, has_finalizer)
        elif has_finalizer:
            self._remove(service)

    def _make(self, service: Object, has_finalizer: bool) -> None:
        if not has_finalizer:
            # First of all, or a Service deleted meanwhile would leave its address behind.
            finalizers = [*service["metadata"].get("finalizers", []), FINALIZER]
            self._site.api.patch(_path(service), {"metadata": {"finalizers": finalizers}})
            self._tell(service, "EnsuringLoadBalancer", "Ensuring load balancer")
        cloud, wanted = self._site.cloud, self._site.wanted
        name = self._port_name(service)
        found = cloud.ports(name=name, network_id=wanted.network)
        port = found[0] if found else cloud.create_port(name, wanted.network, self._description(service))
        address = self._address(service, port["id"])
        self._site.log.info("service %s has address %s", service["metadata"]["name"], address)
        self._site.api.patch(
            f"{_path(service)}/status", {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
        )
        self._tell(service, "EnsuredLoadBalancer", "Ensured load balancer")

    def _address(self, service: Object, port: str) -> str:
        """Gives the port a floating address: the one asked for if it is free, else a new one."""
        cloud = self._site.cloud
        has = cloud.floating_ips(port_id=port)
        if has:
            return str(has[0]["floating_ip_address"])
        reserved = service["spec"].get("loadBalancerIP")
        if reserved:
            for candidate in cloud.floating_ips(floating_ip_address=reserved):
                if candidate["port_id"] is None:
                    cloud.associate_floating_ip(candidate["id"], port)
                    return str(reserved)
            message = f"Floating address {reserved} is not free in this project; a new one is allocated."
            self._tell(service, "FloatingIPNotFree", message, warning=True)
        made = cloud.create_floating_ip(self._site.wanted.external_network, port, self._description(service))
        return str(made["floating_ip_address"])

    def _remove(self, service: Object) -> None:
        cloud = self._site.cloud
        if "deletionTimestamp" in service["metadata"]:
            self._tell(service, "DeletingLoadBalancer", "Deleting load balancer")
        for port in cloud.ports(name=self._port_name(service)):
            for address in cloud.floating_ips(port_id=port["id"]):
                # Only an address that was allocated here goes; a reserved one is somebody's property.
                if address["description"] == self._description(service):
                    cloud.delete_floating_ip(address["id"])
                else:
                    cloud.associate_floating_ip(address["id"], None)
            cloud.delete_port(port["id"])
        self._site.log.info("service %s gave its address back", service["metadata"]["name"])
        if service.get("status", {}).get("loadBalancer"):
            self._site.api.patch(f"{_path(service)}/status", {"status": {"loadBalancer": None}})
        left = [one for one in service["metadata"]["finalizers"] if one != FINALIZER]
        self._site.api.patch(_path(service), {"metadata": {"finalizers": left}})

    def _port_name(self, service: Object) -> str:
        metadata = service["metadata"]
        return f"{port_prefix(self._site.wanted.uuid)}{metadata['namespace']}_{metadata['name']}"

    def _description(self, service: Object) -> str:
        metadata = service["metadata"]
        return (
            f"Floating IP for Kubernetes external service {metadata['namespace']}/{metadata['name']} "
            f"from cluster {self._site.wanted.uuid}"
        )

    def _tell(self, service: Object, reason: str, message: str, *, warning: bool = False) -> None:
        about: dict[str, Any] = {**service, "kind": "Service"}
        self._site.emit(about, reason, message, source=SOURCE, warning=warning)


def port_prefix(cluster: str) -> str:
    """How the names of a cluster's load balancer ports begin, for the cluster's own removal."""
    return f"kube_service_{cluster}_"


def _path(service: Object) -> str:
    metadata = service["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
