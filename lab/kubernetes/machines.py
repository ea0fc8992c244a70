"""What a server of a flavor is worth as a Kubernetes node."""

from __future__ import annotations

import dataclasses

KERNEL_SHARE = 0.02
"""Part of a server's memory that Linux keeps for itself before anyone can ask for it: its own code and
1.6 % of page structures (64 of each 4096 bytes)."""

EVICTION_MIB = 100
"""Kubelet's default hard eviction threshold (``memory.available<100Mi``). Neither kubeadm nor Jetstream2's
Cluster API templates reserve anything else: no CPU, no system or kube reservation."""

EPHEMERAL_SHARE = 0.9
"""Kubelet evicts below 10 % of free disk (``nodefs.available<10%``)."""

PODS = 110
"""Kubelet's default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flavor:
    """A Nova flavor: vCPUs, memory in MiB, disk in GiB."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int


def capacity(flavor: Flavor) -> dict[str, str]:
    """A node's capacity, as kubelet reports it."""
    return {
        "cpu": str(flavor.vcpus),
        "memory": f"{_memory_kib(flavor)}Ki",
        "ephemeral-storage": f"{flavor.disk_gib * 1024 * 1024}Ki",
        "pods": str(PODS),
    }


def allocatable(flavor: Flavor) -> dict[str, str]:
    """What of a node's capacity pods may use."""
    return {
        "cpu": str(flavor.vcpus),
        "memory": f"{_memory_kib(flavor) - EVICTION_MIB * 1024}Ki",
        "ephemeral-storage": f"{int(flavor.disk_gib * 1024 * 1024 * EPHEMERAL_SHARE)}Ki",
        "pods": str(PODS),
    }


def _memory_kib(flavor: Flavor) -> int:
    return int(flavor.ram_mib * 1024 * (1 - KERNEL_SHARE))
