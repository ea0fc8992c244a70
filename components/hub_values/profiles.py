"""The choices that users see, and what a server gets when none is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from components.hub_values import Values
from components.hub_values.placement import on_group


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """One choice.

    Attributes:
        name: short name, as in a spawn link.
        title: what users read.
        description: a second line for users.
        pool: the node group that runs it.
        memory_mib: memory promised to a server, and its limit: beyond a promise, a neighbour would be killed.
        cpus: CPUs promised to a server.
        cpu_limit: CPUs it may use while its neighbours leave them idle.
        su_per_hour: what one server costs of a full node, in SU/h; None where the flavor's rate is not known.
        per_node: servers that fit on a node.
        max_nodes: most nodes of the pool.
        default: whether it is chosen for users who choose nothing.
        closed: whether nobody may start it.
    """

    name: str
    title: str
    description: str
    pool: str
    memory_mib: int
    cpus: float
    cpu_limit: float
    su_per_hour: float | None
    per_node: int
    max_nodes: int
    default: bool
    closed: bool


def default_profile(profiles: Sequence[Profile]) -> Profile:
    """The profile marked as default, else the first; of those that are open, if any is."""
    able = [profile for profile in profiles if not profile.closed] or profiles
    return next((profile for profile in able if profile.default), able[0])


def profile_values(profiles: Sequence[Profile]) -> Values:
    """The list of choices, with the default's figures for whatever asks the chart and not the list."""
    default = default_profile(profiles)
    memory = _memory(default)
    return {
        "singleuser": {
            "memory": {"guarantee": memory, "limit": memory},
            "cpu": {"guarantee": default.cpus, "limit": default.cpu_limit},
            "profileList": [_choice(profile, default) for profile in profiles],
        }
    }


def size_and_price(profile: Profile) -> str:
    """What a server of the profile has and costs, in words for users."""
    cpus = f"{profile.cpus:g} CPUs" if profile.cpus != 1 else "1 CPU"
    if profile.cpu_limit > profile.cpus:
        cpus += f" (up to {profile.cpu_limit:g} while others are idle)"
    # Rounded down: a promise is kept.
    parts = [cpus, f"{profile.memory_mib * 10 // 1024 / 10:g} GiB of memory"]
    if profile.su_per_hour is not None:
        parts.append(f"{profile.su_per_hour:.3g} SU/h")
    return ", ".join(parts)


def _choice(profile: Profile, default: Profile) -> Values:
    memory = _memory(profile)
    return {
        "slug": profile.name,
        "display_name": profile.title,
        "description": ". ".join(filter(None, [profile.description.rstrip("."), size_and_price(profile)])),
        "default": profile is default,
        # KubeSpawner's own names; the chart's, such as memory.limit, would be ignored here.
        "kubespawner_override": {
            "mem_guarantee": memory,
            "mem_limit": memory,
            "cpu_guarantee": profile.cpus,
            "cpu_limit": profile.cpu_limit,
            "node_selector": on_group(profile.pool),
        },
    }


def _memory(profile: Profile) -> str:
    """In KubeSpawner's and the chart's spelling, where M is 2 to the 20th."""
    return f"{profile.memory_mib}M"
