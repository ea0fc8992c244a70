"""Rules of the cluster that need more than one setting. Each yields its problems, and stops at none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stacks import flavors
from stacks.problems import Problem, key_path
from stacks.settings import Profile, Settings
from stacks.settings_hub import HOMES_PER_NODE

MAGNUMS_OWN = ("default-master", "default-worker")
"""Node groups that every Magnum cluster has already."""


def network_is_one(settings: Settings) -> Iterator[Problem]:
    """A network is either made or used."""
    network = settings.network
    if (network.cidr is None) == (network.existing is None):
        yield Problem(
            path=key_path("network"),
            message="needs exactly one of cidr (a network to create) and existing (a network to use)",
        )


def flavors_are_usable(settings: Settings) -> Iterator[Problem]:
    """Every flavor named is known by size, and large enough for Kubernetes."""
    named = {
        key_path("cluster", "master_flavor"): settings.cluster.master_flavor,
        key_path("cluster", "core_flavor"): settings.cluster.core_flavor,
    }
    for name, pool in settings.pools.items():
        named[key_path("pools", name, "flavor")] = pool.flavor
    for path, flavor in named.items():
        shape = settings.shape(flavor)
        if shape is None:
            known = ", ".join([*settings.flavors, *flavors.JETSTREAM2])
            yield Problem(
                path=path,
                value=flavor,
                message=f"has no known size; name one of {known}, or tell its size in gateway:flavors",
            )
        elif not flavors.fits_kubernetes(shape):
            yield Problem(
                path=path,
                value=flavor,
                message=f"is too small for a Kubernetes node; take one of {flavors.LEAST_VCPUS} vCPUs and "
                f"{flavors.LEAST_MEMORY_MIB // 1024} GiB or more, such as m3.small",
            )


def pool_names_are_free(settings: Settings) -> Iterator[Problem]:
    """No pool takes the name of a group that Magnum makes itself."""
    for name in settings.pools:
        if name in MAGNUMS_OWN:
            yield Problem(
                path=key_path("pools", name),
                message="is a node group that Magnum makes itself; give the pool another name, such as low",
            )


def profiles_are_distinct(settings: Settings) -> Iterator[Problem]:
    """Names differ, and one profile at most is the default."""
    seen: set[str] = set()
    default: str | None = None
    for index, profile in enumerate(settings.profiles):
        if profile.name in seen:
            yield Problem(
                path=key_path("profiles", index, "name"),
                value=profile.name,
                message="is the name of an earlier profile too; give each profile its own",
            )
        seen.add(profile.name)
        if profile.default and default is not None:
            yield Problem(
                path=key_path("profiles", index, "default"),
                value=True,
                message=f"is said of {default} already; leave it to one profile",
            )
        default = profile.name if profile.default else default


def profiles_fit_their_nodes(settings: Settings) -> Iterator[Problem]:
    """No server is promised more than a node of its pool can give."""
    for index, profile in enumerate(settings.profiles):
        pool = settings.pools.get(profile.pool)
        if pool is None:
            yield Problem(
                path=key_path("profiles", index, "pool"),
                value=profile.pool,
                message=f"is not a pool; name one of {', '.join(settings.pools)}",
            )
            continue
        shape = settings.shape(pool.flavor)
        sized = profile.memory_gib is not None and profile.cpus is not None
        unsized = profile.memory_gib is None and profile.cpus is None
        if not (sized if profile.users_per_node is None else unsized):
            yield Problem(
                path=key_path("profiles", index),
                message="needs either users_per_node (an equal share of a node) or both memory_gib and cpus",
            )
        elif shape is not None:
            yield from _fits(index, profile, pool.flavor, flavors.for_users(shape))


def _fits(index: int, profile: Profile, flavor: str, most: flavors.Share) -> Iterator[Problem]:
    memory_gib = most.memory_mib / 1024
    if profile.memory_gib is not None and profile.memory_gib * 1024 > most.memory_mib:
        yield Problem(
            path=key_path("profiles", index, "memory_gib"),
            value=profile.memory_gib,
            message=f"is more than a {flavor} node has for users; set {int(memory_gib * 10) / 10:g} or less",
        )
    if profile.cpus is not None and profile.cpus > most.cpus:
        yield Problem(
            path=key_path("profiles", index, "cpus"),
            value=profile.cpus,
            message=f"is more than a {flavor} node has for users; set {most.cpus:g} or less",
        )
    if profile.users_per_node is not None and memory_gib / profile.users_per_node < 0.5:
        yield Problem(
            path=key_path("profiles", index, "users_per_node"),
            value=profile.users_per_node,
            message=f"leaves each less than 0.5 GiB of a {flavor} node; set {int(memory_gib / 0.5)} or less",
        )


def homes_can_be_attached(settings: Settings) -> Iterator[Problem]:
    """No node is counted on for more servers than it can be given volumes of homes.

    More would wait there with room to spare, and their price and their number would be told wrongly.
    """
    if settings.storage.homes != "volume":
        return
    for index, profile in enumerate(settings.profiles):
        pool = settings.pools.get(profile.pool)
        shape = None if pool is None else settings.shape(pool.flavor)
        if pool is None or shape is None or profile.memory_gib is None or profile.cpus is None:
            continue
        part = flavors.Share(memory_mib=int(profile.memory_gib * 1024), cpus=profile.cpus)
        servers = flavors.per_node(shape, part)
        if servers > HOMES_PER_NODE:
            # A tenth above the size of which one more would fit.
            whole_gib = flavors.for_users(shape).memory_mib / 1024
            least = math.floor(whole_gib / (HOMES_PER_NODE + 1) * 10 + 1) / 10
            yield Problem(
                path=key_path("profiles", index, "memory_gib"),
                value=profile.memory_gib,
                message=f"puts {servers} servers on a {pool.flavor} node, which can be given the volumes of "
                f"{HOMES_PER_NODE} homes; set {least:g} or more, or {key_path('storage', 'homes')}: shared",
            )
