"""The autoscaler's decisions: which group grows for which pods, which node goes. No effects in here."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from lab.kubernetes import quantities, scheduling
from lab.kubernetes.quantities import Resources
from lab.kubernetes.scheduling import Place, Pod, Taint

AT_MAXIMUM = "max node group size reached"

EXPENDABLE_BELOW = -10
"""Pods of a lower priority never make a group grow and never keep a node (the cluster autoscaler's
``expendable-pods-priority-cutoff``)."""

KEEP = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
"""A node with this annotation set to true is never removed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """An autoscaled node group.

    Attributes:
        size: nodes that it is to have now.
        registered: nodes that have joined the cluster.
        labels, taints, allocatable: of one more node, daemons already taken off.
    """

    uuid: str
    name: str
    size: int
    minimum: int
    maximum: int
    registered: int
    labels: Mapping[str, str]
    taints: Sequence[Taint]
    allocatable: Resources

    def place(self, number: int = 0) -> Place:
        """One more node of this group, empty."""
        name = f"{self.name}-template-{number}"
        labels = {**self.labels, scheduling.HOSTNAME: name}
        return Place(name=name, labels=labels, taints=list(self.taints), free=dict(self.allocatable))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
    """A group that is to grow, and the pods it grows for."""

    group: Group
    size: int
    pods: list[Pod]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleUp:
    """What to do about pods without a node.

    Attributes:
        growths: groups to grow.
        hopeless: pods that no group can help, with the reasons in the cluster autoscaler's words.
    """

    growths: list[Growth]
    hopeless: list[tuple[Pod, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A node of an autoscaled group, for scaling down."""

    name: str
    group: str
    is_kept: bool


def scale_up(
    groups: Sequence[Group],
    places: Sequence[Place],
    pods: Iterable[Pod],
    now: datetime.datetime,
    delay: float,
) -> ScaleUp:
    """Decides which groups grow.

    Args:
        groups: the autoscaled groups.
        places: the cluster's schedulable nodes with their pods.
        pods: all pods.
        now: the time.
        delay: seconds that a pod must have waited.
    """
    waiting = [pod for pod in pods if _waits(pod, now, delay)]
    if not waiting:
        return ScaleUp(growths=[], hopeless=[])
    coming = [group.place(number) for group in groups for number in range(group.size - group.registered)]
    waiting = _placed(waiting, [*(_copy(place) for place in places), *coming])[1]
    growths: list[Growth] = []
    sizes = {group.uuid: group.size for group in groups}
    while waiting:
        options = [_option(group, sizes[group.uuid], waiting) for group in groups]
        useful = [option for option in options if option.pods]
        if not useful:
            break
        best = min(useful, key=lambda option: (_waste(option), -len(option.pods), option.group.name))
        growths.append(best)
        sizes[best.group.uuid] = best.size
        helped = {pod.uid for pod in best.pods}
        waiting = [pod for pod in waiting if pod.uid not in helped]
    hopeless = [(pod, _reasons(pod, groups, sizes)) for pod in waiting] if groups else []
    return ScaleUp(growths=growths, hopeless=hopeless)


def scale_down(
    groups: Sequence[Group],
    candidates: Sequence[Candidate],
    pods: Iterable[Pod],
    empty_since: Mapping[str, datetime.datetime],
    *,
    now: datetime.datetime,
    delay: float,
) -> tuple[list[Candidate], dict[str, datetime.datetime]]:
    """Decides which nodes go: those empty for the whole delay, never below a group's minimum.

    Args:
        groups: the autoscaled groups.
        candidates: their nodes.
        pods: all pods.
        empty_since: what the last call returned; nodes and since when they have been empty.
        now: the time.
        delay: seconds that a node must have been empty.

    Returns:
        The nodes that go, and the nodes that are empty since when.
    """
    busy = {pod.node for pod in pods if not pod.stays_behind and pod.priority >= EXPENDABLE_BELOW}
    empty = {
        candidate.name: empty_since.get(candidate.name, now)
        for candidate in candidates
        if candidate.name not in busy and not candidate.is_kept
    }
    spare = {group.uuid: group.size - group.minimum for group in groups}
    going = []
    for candidate in sorted(candidates, key=lambda one: (empty.get(one.name, now), one.name)):
        since = empty.get(candidate.name)
        if since is None or (now - since).total_seconds() < delay or spare.get(candidate.group, 0) < 1:
            continue
        spare[candidate.group] -= 1
        going.append(candidate)
    return going, empty


def _waits(pod: Pod, now: datetime.datetime, delay: float) -> bool:
    return (
        not pod.node
        and pod.unschedulable_since is not None
        and pod.priority >= EXPENDABLE_BELOW
        and (now - pod.unschedulable_since).total_seconds() >= delay
    )


def _option(group: Group, size: int, waiting: Sequence[Pod]) -> Growth:
    """What the group could do for the pods: first fit, largest pods first, within its maximum."""
    new: list[Place] = []
    helped: list[Pod] = []
    for pod in sorted(waiting, key=_largest_first):
        if _put(pod, new):
            helped.append(pod)
            continue
        place = group.place(len(new))
        if size + len(new) < group.maximum and scheduling.why_not(pod, place) is None:
            place.add(pod)
            new.append(place)
            helped.append(pod)
    return Growth(group=group, size=size + len(new), pods=helped)


def _waste(growth: Growth) -> float:
    """The share of the new nodes' CPU and memory that the pods would leave unused."""
    used = quantities.total(pod.requests for pod in growth.pods)
    unused = Decimal(0)
    for name in ("cpu", "memory"):
        offered = growth.group.allocatable.get(name, Decimal(0)) * (growth.size - growth.group.size)
        if offered:
            unused += (offered - used.get(name, Decimal(0))) / offered
    return float(unused)


def _placed(pods: Sequence[Pod], places: Sequence[Place]) -> tuple[list[Pod], list[Pod]]:
    placed: list[Pod] = []
    left: list[Pod] = []
    for pod in sorted(pods, key=_largest_first):
        (placed if _put(pod, places) else left).append(pod)
    return placed, left


def _put(pod: Pod, places: Sequence[Place]) -> bool:
    for place in places:
        if scheduling.why_not(pod, place) is None:
            place.add(pod)
            return True
    return False


def _largest_first(pod: Pod) -> tuple[Decimal, Decimal, str]:
    return -pod.requests.get("cpu", Decimal(0)), -pod.requests.get("memory", Decimal(0)), pod.uid


def _reasons(pod: Pod, groups: Sequence[Group], sizes: Mapping[str, int]) -> str:
    counted = Counter(
        AT_MAXIMUM
        if sizes[group.uuid] >= group.maximum
        else scheduling.why_not(pod, group.place()) or AT_MAXIMUM
        for group in groups
    )
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()))


def _copy(place: Place) -> Place:
    return dataclasses.replace(place, pods=list(place.pods), free=dict(place.free))
