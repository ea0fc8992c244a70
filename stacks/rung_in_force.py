"""The rung in force, applied to the settings of the stack that is being run."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

import keystoneauth1.exceptions
import openstack.exceptions
import pulumi
from openstack.connection import Connection

from allocation.errors import AllocationError
from allocation.ladder import DRAIN_HOURS, PINNED_LIFTS, PINNED_WHY, Rung
from allocation.times import HOUR
from stacks import held_pools, rung_file
from stacks.cloud_check import CloudError, connect
from stacks.problems import SettingsError
from stacks.rungs import braked
from stacks.settings import Settings

NODE_GROUPS = {"OpenStack-API-Version": "container-infra 1.9"}
"""The oldest version of Magnum's API that knows node groups."""

CUT = 30
"""Characters of a cluster's name that its servers' names begin with."""

EARLY_SECONDS = 300
"""How much less than an hour may lie between two hourly runs, as recording takes now longer, now less."""

DRAIN_SECONDS = DRAIN_HOURS * HOUR - EARLY_SECONDS
"""After so long a shutdown waits for nobody. The run an hour after the one that began it is late enough:
one more hour at the ceiling could touch the reserve."""


def apply(settings: Settings, *, now: float) -> Settings:
    """The settings as the rung in force has them; says which that is.

    In a scheduled run whose change of the pools was refused, with the pools as they stand.

    Args:
        settings: as they are written.
        now: seconds since the epoch.

    Raises:
        pulumi.RunError: if where the ladder stands cannot be read. To go on as if nothing braked could spend
            the reserve. Or if the settings make no sense with the pools as they stand.
    """
    try:
        rung, sentence = in_force(settings)
    except AllocationError as error:
        raise pulumi.RunError(str(error)) from None
    if sentence is not None:
        pulumi.log.info(sentence)
    made = braked(settings, rung, drained=rung == Rung.SHUTDOWN and is_drained(settings, now))
    stand = held_pools.told(os.environ)
    try:
        return made if stand is None else held_pools.held(made, stand)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def is_drained(settings: Settings, now: float) -> bool:
    """Whether the hour is over that a shutdown leaves to those who work."""
    return now - _shutdown_since(settings, now) >= DRAIN_SECONDS


def in_force(settings: Settings) -> tuple[Rung, str | None]:
    """The rung, and the sentence that a preview shows of it; None where no forecast is wanted.

    Raises:
        AllocationError: if the ladder's file is damaged.
    """
    budget = settings.budget
    if budget.rung != "auto":
        rung = rung_file.by_title(budget.rung)
        lifted = "" if rung == Rung.NORMAL else f" It is lifted by {PINNED_LIFTS}."
        return rung, f"Budget ladder: {budget.rung}; {PINNED_WHY}.{lifted}"
    if budget.ledger_path is None:
        words = "Budget ladder: normal; gateway:budget.ledger names no file to decide on."
        return Rung.NORMAL, None if budget.policy == "off" else words
    kept = rung_file.beside(budget.ledger_path)
    if not kept.exists():
        return Rung.NORMAL, (
            f"Budget ladder: normal; {kept.name} is not beside the ledger: nothing was decided yet, or "
            "in another folder, whose file is to be brought here first."
        )
    standing = rung_file.read(kept)
    return standing.state.rung, standing.sentence


def spared_nodes(settings: Settings, stack: str, *, now: float) -> dict[str, int]:
    """How many nodes of each pool a lowered ceiling leaves standing, since users may work on them.

    Below that number Magnum refuses a ceiling, or Cluster API removes nodes at once. The hub goes by the
    lowered ceiling, so that these nodes become empty, the autoscaler takes them, and the ceiling follows.
    A shutdown waits for that as long as an orderly one takes.

    Args:
        settings: as the rung in force has them.
        stack: the stack's name.
        now: seconds since the epoch.

    Returns:
        By pool, never above the ceiling that stands; empty on the rungs that lower none, and where there is
        no cluster yet.

    Raises:
        pulumi.RunError: if the cloud does not tell.
    """
    rung = Rung.NORMAL if settings.budget.rung == "auto" else rung_file.by_title(settings.budget.rung)
    if rung < Rung.LOWER_CEILINGS:
        return {}
    cluster = f"{settings.name}-{stack}"
    try:
        cloud = connect(settings.cloud)
        counts = _magnums_counts(cloud, cluster)
        if counts and not (rung == Rung.SHUTDOWN and is_drained(settings, now)):
            for pool, nodes in node_counts(_servers(cloud, cluster), cluster, counts).items():
                if pool in settings.pools and nodes > max(counts[pool], settings.pools[pool].max):
                    counts[pool] = max(counts[pool], min(nodes, _ceiling(cloud, cluster, pool) or nodes))
    except (
        CloudError,
        keystoneauth1.exceptions.ClientException,
        openstack.exceptions.SDKException,
        ValueError,
        KeyError,
        TypeError,
    ) as error:
        raise pulumi.RunError(
            f"The nodes that run cannot be counted ({type(error).__name__}: {error}), and a ceiling below "
            "them could end users' servers; try again later."
        ) from None
    return counts


def node_counts(servers: Iterable[str], cluster: str, groups: Collection[str]) -> dict[str, int]:
    """How many of the servers are nodes of each group, by their names.

    Cluster API names a server by the cluster, the group and random ends:
    ``science-prod-abcdefghijkl-low-x7k2p-9vq8r``; the cluster's name is cut to 30 characters.
    """
    start = re.escape(cluster.lower()[:CUT].rstrip("-"))
    counts = dict.fromkeys(groups, 0)
    for name in servers:
        mine = [
            group
            for group in groups
            if re.fullmatch(rf"{start}-+([a-z0-9]{{12}}-)?{re.escape(group)}(-[a-z0-9]+){{1,2}}", name)
        ]
        if mine:
            # A server of the group low-2 looks like one of low, too.
            counts[max(mine, key=len)] += 1
    return counts


def _magnums_counts(cloud: Connection, cluster: str) -> dict[str, int]:
    """What Magnum counts, below which it refuses a ceiling; it does not follow the autoscaler."""
    magnum = cloud.container_infrastructure_management
    answer = magnum.get(f"/clusters/{cluster}/nodegroups", headers=NODE_GROUPS, raise_exc=False)
    if answer.status_code == 404:
        return {}
    openstack.exceptions.raise_from_response(answer)
    return {str(group["name"]): int(group["node_count"]) for group in answer.json()["nodegroups"]}


def _ceiling(cloud: Connection, cluster: str, group: str) -> int | None:
    """The most nodes of a group as it stands. While a node is replaced there is one server more."""
    magnum = cloud.container_infrastructure_management
    answer = magnum.get(f"/clusters/{cluster}/nodegroups/{group}", headers=NODE_GROUPS, raise_exc=False)
    openstack.exceptions.raise_from_response(answer)
    most = answer.json()["max_node_count"]
    return None if most is None else int(most)


def _servers(cloud: Connection, cluster: str) -> list[str]:
    found = cloud.compute.servers(details=False, name=f"^{re.escape(cluster.lower()[:CUT])}")
    return [str(server.name) for server in found]


def _shutdown_since(settings: Settings, now: float) -> float:
    """When the shutdown began; now if nobody wrote that down, as for a rung that was pinned just now."""
    if settings.budget.ledger_path is None:
        return now
    try:
        state = rung_file.read(rung_file.beside(settings.budget.ledger_path)).state
    except AllocationError:  # The rung is pinned, then: that heeds no file.
        return now
    return state.since if state.rung == Rung.SHUTDOWN else now
