"""What a node of a flavor can give to its users.

A node never gives all it has: its kernel, its kubelet and the pods that every node runs take a part. A server
promised more than the rest stays Pending for ever, so the settings are checked against the figures made here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

KERNEL_PART = 0.05
"""Part of a node's memory that its firmware and kernel keep, so that the kubelet never sees it."""

EVICTION_MIB = 100
"""Memory in MiB that the kubelet keeps free: below it, it evicts pods (its default)."""

DAEMONS_MIB = 384
"""Memory in MiB for the pods of every node: network, storage driver, proxy, image puller."""

DAEMONS_CPUS = 0.4
"""CPUs for the same pods; the network plugin alone asks for 0.25."""

LEAST_VCPUS = 2
LEAST_MEMORY_MIB = 2048
"""Magnum's driver refuses nodes smaller than these two."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a flavor: virtual CPUs, and memory in MiB."""

    vcpus: int
    memory_mib: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """What one user gets of a node: memory in MiB, and CPUs."""

    memory_mib: int
    cpus: float


JETSTREAM2: Mapping[str, Shape] = {
    name: Shape(vcpus=vcpus, memory_mib=memory_gib * 1024)
    for name, vcpus, memory_gib in (
        ("m3.tiny", 1, 3),
        ("m3.small", 2, 6),
        ("m3.quad", 4, 15),
        ("m3.medium", 8, 30),
        ("m3.large", 16, 60),
        ("m3.xl", 32, 125),
        ("m3.2xl", 64, 250),
        ("r3.large", 64, 500),
        ("r3.xl", 128, 1000),
        ("g3.small", 4, 15),
        ("g3.medium", 8, 30),
        ("g3.large", 16, 60),
        ("g3.xl", 32, 125),
    )
}
"""Jetstream2's flavors. Those of another cloud are told in the setting ``gateway:flavors``."""


def fits_kubernetes(shape: Shape) -> bool:
    """Can a node of this flavor run Kubernetes at all?"""
    return shape.vcpus >= LEAST_VCPUS and shape.memory_mib >= LEAST_MEMORY_MIB


def for_users(shape: Shape) -> Share:
    """What is left of a node for its users' servers, all of them together."""
    memory = shape.memory_mib * (1 - KERNEL_PART) - EVICTION_MIB - DAEMONS_MIB
    return Share(memory_mib=max(0, math.floor(memory)), cpus=max(0.0, round(shape.vcpus - DAEMONS_CPUS, 2)))


def share(shape: Shape, users: int) -> Share:
    """An equal share of a node's part for users, rounded down so that all of them fit.

    Args:
        shape: the node's flavor.
        users: how many shares, 1 or more.

    Raises:
        ValueError: if ``users`` is less than 1.
    """
    if users < 1:
        raise ValueError(f"a node is shared by 1 user or more, not {users}")
    whole = for_users(shape)
    # In hundredths: 7.6 / 2 computed in binary fractions may come out a hair above what fits.
    return Share(memory_mib=whole.memory_mib // users, cpus=(round(whole.cpus * 100) // users) / 100)


def per_node(shape: Shape, part: Share) -> int:
    """How many such shares fit on a node: 0 where not even one does.

    Args:
        shape: the node's flavor.
        part: what one user gets.
    """
    whole = for_users(shape)
    # In hundredths and with a hair to spare, for the same reason as above.
    return int(
        min(whole.memory_mib // part.memory_mib, math.floor(whole.cpus * 100 / (part.cpus * 100) + 1e-9))
    )
