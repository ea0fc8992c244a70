"""How many machines a node group gains and which it loses: pure decisions, as Cluster API makes them."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
from collections.abc import Sequence

NAME_LENGTH = 30
"""Cluster names are cut to this in server names, as on Jetstream2: a node's name has 63 characters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """A server and its node.

    Attributes:
        is_current: made from the group's present template.
        is_ready: its node is Ready.
        is_marked: it was chosen to go; the choice is kept on the node, so that it outlives the keeper.
    """

    id: str
    name: str
    created_at: datetime.datetime
    is_current: bool
    is_ready: bool
    is_marked: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How many machines to make, and which to drain and remove."""

    create: int
    retire: list[Machine]


def plan(machines: Sequence[Machine], size: int) -> Plan:
    """Decides the next step of a group towards its size and template.

    Machines of an old template are replaced one by one: first one more, then, when it is Ready, one
    less. Surplus machines go in this order: marked, old, not Ready, newest.

    Args:
        machines: the group's machines that work or are being made.
        size: how many there are to be.
    """
    old = [machine for machine in machines if not machine.is_current]
    current = len(machines) - len(old)
    surge = 1 if old else 0
    create = max(0, min(size - current, size + surge - len(machines)))
    excess = len(machines) - size
    if old and not _may_lose_one(machines, size):
        excess = 0
    order = sorted(machines, key=lambda one: one.created_at, reverse=True)
    order.sort(key=lambda one: (not one.is_marked, one.is_current, one.is_ready))
    return Plan(create=create, retire=order[:excess] if excess > 0 else [])


def _may_lose_one(machines: Sequence[Machine], size: int) -> bool:
    """Are all wanted nodes Ready without one of those that are to go?"""
    return sum(machine.is_ready for machine in machines) > size or any(m.is_marked for m in machines)


def machine_name(cluster: str, group: str) -> str:
    """A new machine's name: cluster, group and a random end; a valid host name."""
    prefix = re.sub(r"[^a-z0-9]+", "-", cluster.lower()).strip("-")[:NAME_LENGTH].strip("-")
    return f"{prefix}-{group[:24].strip('-')}-{secrets.token_hex(3)}"


def clamp(size: int, minimum: int, maximum: int) -> int:
    """An autoscaled group's size after its bounds changed."""
    return max(minimum, min(size, maximum))
