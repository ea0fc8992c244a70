"""What the ladder is told: from the ledger, the plan and the rungs of the past. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from allocation import history
from allocation.errors import AllocationError
from allocation.history import Segment
from allocation.ladder import Reading
from allocation.plan import Nodes, Plan, Pool, Stage
from allocation.planned import planned
from allocation.times import DAY, HOUR


@dataclasses.dataclass(frozen=True, kw_only=True)
class Past:
    """The pools from one moment of the past on.

    Attributes:
        since: seconds since the epoch.
        pools: as the rung of then had them.
    """

    since: float
    pools: Mapping[str, Pool]


def reading(
    segments: Sequence[Segment],
    known: Plan,
    *,
    fixed: Sequence[Nodes],
    normal: Mapping[str, Pool],
    past: Sequence[Past],
    open_pools: Mapping[str, Pool],
    settle_hours: float,
    now: float,
) -> Reading:
    """The figures of now.

    Args:
        segments: one resource's, in order of time, with at least one figure from before ``now``.
        known: calendar, reserve, lag, rates, and the stages of a plan file.
        fixed: nodes that always run.
        normal: the pools if nothing brakes.
        past: the pools of each rung that was stood on, in order of time; empty if none ever was.
        open_pools: the pools of the rung in force; in a shutdown, of the rung below it.
        settle_hours: hours that servers may go on running once no new one starts.
        now: seconds since the epoch.

    Raises:
        AllocationError: if there is no figure, or a flavor has no rate.
    """
    segment = history.current(segments, now)
    known = known.of(segment.resource)
    stages = _stages(known, fixed, normal, past, float(segments[0].times[0]))
    unbraked = Stage(since=now, fixed=tuple(fixed), pools=normal)
    later = [stage for stage in known.stages if stage.since > now]
    plan = known.model_copy(
        update={"stages": (*(stage for stage in stages if stage.since < now), unbraked, *later)}
    ).of(segment.resource)
    here = plan.stage_at(now)
    if here is None:
        raise AllocationError(
            f"no node of the plan burns {segment.resource}; name another resource by gateway:budget.resource"
        )
    path = planned(history.until(segments, now), now, plan)
    hours_left = max(0.0, (segment.ends_at - now) / HOUR)
    floor = plan.floor(here)
    in_force = plan.model_copy(
        update={"stages": (here.model_copy(update={"pools": {n: open_pools[n] for n in here.pools}}),)}
    )
    used = float(segment.used[-1]) + _unreported(segment, plan, now, settle_hours)
    return Reading(
        now=now,
        spendable=segment.allocated - plan.reserve_su - used - floor * hours_left,
        expected=max(0.0, float(path.expected[-1] - path.expected[0]) - floor * hours_left),
        ceiling_above_floor=in_force.ceiling(in_force.stages[0]) - floor,
        settle_hours=settle_hours,
        hours_left=hours_left,
    )


def _stages(
    known: Plan, fixed: Sequence[Nodes], normal: Mapping[str, Pool], past: Sequence[Past], first: float
) -> list[Stage]:
    """The plan file's stages, then those of the rungs; without any plan, the pools as they are by now."""
    begins = past[0].since if past else float("inf")
    stages = [stage for stage in known.stages if stage.since < begins]
    if not stages:
        stages = [Stage(since=min(first, begins) - 2 * DAY, fixed=tuple(fixed), pools=normal)]
    return stages + [Stage(since=one.since, fixed=tuple(fixed), pools=one.pools) for one in past]


def _unreported(segment: Segment, plan: Plan, now: float, settle_hours: float) -> float:
    """SU that the hours not yet reported can have taken at most: all pools at the ceilings of then.

    A figure that is told again is as old as when it was told first.
    """
    told = float(segment.times[int(np.searchsorted(segment.used, segment.used[-1], side="left"))])
    moment = told - plan.reporting_lag_hours * HOUR
    begins = [stage.since for stage in plan.stages]
    edges = {*begins, *(since + settle_hours * HOUR for since in begins)}
    most = 0.0
    for edge in [*sorted(edge for edge in edges if moment < edge < now), now]:
        # Nodes above a lowered ceiling go on until their servers have stopped.
        earlier = moment - settle_hours * HOUR
        felt = [stage for stage in plan.stages if earlier < stage.since <= moment]
        felt.append(plan.stage_at(earlier) or plan.stages[0])
        most += max(plan.ceiling(stage) for stage in felt) * (edge - moment) / HOUR
        moment = edge
    return most
