"""How many servers there may be, and what users read when there is no room for one more."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from pathlib import Path

from components.hub_values import Values

SPAWNER = Path(__file__).with_name("inside_hub") / "spawner.py"
"""Code that the hub itself runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """What there can be of one profile.

    Attributes:
        profile: its short name.
        title: what users read.
        pool: the node group that runs it.
        per_node: how many of its servers fit on a node that runs nothing else.
        max_nodes: most nodes of its pool.
        closed: whether nobody may start it.
    """

    profile: str
    title: str
    pool: str
    per_node: int
    max_nodes: int
    closed: bool


def server_limit(rooms: Sequence[Room]) -> int:
    """Most servers that all pools at their greatest can hold: each pool filled with its smallest profile."""
    most: dict[str, int] = {}
    for room in rooms:
        most[room.pool] = max(most.get(room.pool, 0), room.per_node * room.max_nodes)
    return sum(most.values())


def capacity_values(
    rooms: Sequence[Room], *, default_profile: str, idle_minutes: int, announcement: str | None
) -> Values:
    """The limit of servers, and the hub's code that counts places and explains.

    Args:
        rooms: one for each profile.
        default_profile: short name of the profile of whoever picks none.
        idle_minutes: after how long an unused server is stopped, which is told to those who wait.
        announcement: a sentence for all users, on all pages of the hub; None for none.
    """
    hub_pages = {"JupyterHub": {"template_vars": _on_all_pages(announcement)}} if announcement else {}
    return {
        "hub": {
            "activeServerLimit": server_limit(rooms),
            "config": {
                "GatewaySpawner": {
                    "rooms": [dataclasses.asdict(room) for room in rooms],
                    "default_profile": default_profile,
                    "idle_minutes": idle_minutes,
                    "announcement": announcement or "",
                },
                **hub_pages,
            },
            "extraConfig": {"spawner": SPAWNER.read_text()},
        }
    }


def _on_all_pages(announcement: str) -> dict[str, str]:
    """For JupyterHub's templates, which show it as HTML; the spawn page has it above the choices already."""
    return {"announcement": html.escape(announcement), "announcement_spawn": ""}
