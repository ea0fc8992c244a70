"""Nodes as kubelet would register them."""

from __future__ import annotations

from typing import Any

from lab.kubernetes import machines
from lab.kubernetes.api import Object
from lab.kubernetes.cloud import Server
from lab.kubernetes.folders import WantedGroup

GROUP_LABEL = "capi.stackhpc.com/node-group"
CONTROL_PLANE_ROLE = "node-role.kubernetes.io/control-plane"


def node_object(group: WantedGroup, server: Server, flavor: machines.Flavor, version: str) -> dict[str, Any]:
    """The node that a server's kubelet would register.

    Args:
        group: the server's group; of all it says only the name reaches the node, as on Jetstream2.
        server: the server; it must have its addresses.
        flavor: the server's flavor.
        version: kubelet's version.
    """
    labels = {
        "kubernetes.io/hostname": server.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": flavor.name,
        "topology.kubernetes.io/region": "RegionOne",
        "topology.kubernetes.io/zone": server.zone,
    }
    spec: dict[str, Any] = {"providerID": f"openstack:///{server.id}"}
    if group.is_control_plane:
        labels[CONTROL_PLANE_ROLE] = ""
        spec["taints"] = [{"key": CONTROL_PLANE_ROLE, "effect": "NoSchedule"}]
    else:
        labels[GROUP_LABEL] = group.name
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": server.name, "labels": labels},
        "spec": spec,
        "status": {
            "capacity": machines.capacity(flavor),
            "allocatable": machines.allocatable(flavor),
            "addresses": [
                *({"type": "InternalIP", "address": address} for address in server.addresses),
                {"type": "Hostname", "address": server.name},
            ],
            "nodeInfo": {
                "kubeletVersion": version,
                "kubeProxyVersion": version,
                "architecture": "amd64",
                "operatingSystem": "linux",
                "osImage": "Ubuntu 22.04 LTS (simulated by KWOK)",
                "kernelVersion": "5.15.0-generic",
                "containerRuntimeVersion": "containerd://1.7.27",
                "machineID": server.id.replace("-", ""),
                "systemUUID": server.id,
                "bootID": server.id,
            },
        },
    }


def is_ready(node: Object) -> bool:
    """Is the node's condition Ready true?"""
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
