"""What a change of the planned nodes costs: the plan before and after it, side by side. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from allocation import history
from allocation.forecast import forecast
from allocation.history import Segment
from allocation.plan import Nodes, Plan, Pool, Stage
from allocation.planned import planned
from allocation.times import DAY, HOUR
from allocation.verdict import Verdict, verdict

LEAST_SAVING = 1e-3
"""SU; less is what floating point makes of no difference."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """The plan before or after the change.

    Attributes:
        floor, ceiling: SU/h with every pool at its fewest and at its most nodes.
        planned, line: verdicts of the planned model and of the paper's line; None without any figure.
    """

    floor: float
    ceiling: float
    planned: Verdict | None
    line: Verdict | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the planned nodes.

    Attributes:
        before: None where nothing was planned before.
        after: with the change.
        hours_left: from now to the allocation's end; None without any figure.
        data_age_hours: from the newest figure to now; None without any.
        fits: each pool that the change lets grow, with the most nodes with which the allocation is expected
            to last if all else is as asked for; pools of which not even one node would do are left out. Empty
            unless the allocation is expected to run dry.
    """

    before: Side | None
    after: Side
    hours_left: float | None
    data_age_hours: float | None
    fits: Mapping[str, Pool]

    @property
    def over(self) -> bool:
        """Whether the allocation is expected to run dry with the change."""
        return self.after.planned is not None and self.after.planned.level == "over"

    @property
    def lowers(self) -> bool:
        """Whether the change raises neither the least nor the most that the nodes can burn."""
        return (
            self.before is not None
            and self.after.floor <= self.before.floor
            and self.after.ceiling <= self.before.ceiling
        )

    @property
    def saves(self) -> bool:
        """Whether less is expected to be used at the allocation's end than without the change, though one of
        the bounds may rise."""
        return (
            self.before is not None
            and self.before.planned is not None
            and self.after.planned is not None
            and self.after.planned.su_delta - self.before.planned.su_delta > LEAST_SAVING
        )


def change(
    segments: Sequence[Segment],
    known: Plan,
    *,
    fixed: Sequence[Nodes],
    before: Mapping[str, Pool] | None,
    after: Mapping[str, Pool],
    now: float,
) -> Change:
    """Prices a change that is made now.

    Args:
        segments: one resource's past, in order of time; may be empty.
        known: what is known besides: calendar, reserve, lag, rates, and the stages of the past. Of nodes that
            burn another resource than the segments' nothing is counted.
        fixed: nodes that always run.
        before: the pools so far; None where there were none.
        after: the pools from now on.
        now: seconds since the epoch.

    Raises:
        rates.UnknownFlavor: if a flavor has no rate.
    """
    past = history.until(segments, now)
    plan_before = known if before is None else with_pools(known, fixed, before, now, past)

    def with_change(pools: Mapping[str, Pool]) -> Plan:
        return with_pools(plan_before, fixed, pools, now, past)

    result = Change(
        before=None if before is None else _side(past, plan_before, now),
        after=_side(past, with_change(after), now),
        hours_left=(past[-1].ends_at - now) / HOUR if past else None,
        data_age_hours=(now - float(past[-1].times[-1])) / HOUR if past else None,
        fits={},
    )
    if not result.over or result.lowers or result.saves:
        return result

    def holds(pools: Mapping[str, Pool]) -> bool:
        # The same figure as the verdict's, without its interval, which takes most of a forecast's time.
        plan = with_change(pools).of(past[-1].resource)
        return float(planned(past, now, plan).expected[-1]) <= past[-1].allocated - plan.reserve_su

    return dataclasses.replace(result, fits=_fits(before or {}, after, holds))


def only_shrinks(before: Mapping[str, Pool] | None, after: Mapping[str, Pool]) -> bool:
    """Whether no pool is new, grows, or changes its flavor: a change that costs less whatever nodes cost."""
    return before is not None and all(
        name in before
        and pool.flavor == before[name].flavor
        and pool.min <= before[name].min
        and pool.max <= before[name].max
        for name, pool in after.items()
    )


def with_pools(
    known: Plan, fixed: Sequence[Nodes], pools: Mapping[str, Pool], now: float, past: Sequence[Segment]
) -> Plan:
    """The plan with these nodes in force now.

    The first pools of a plan without stages are taken as in force since the first figure: the best that is
    known of the past. Others begin now.
    """
    stage = Stage(since=now, fixed=tuple(fixed), pools=pools)
    current = known.stage_at(now)
    if current is None and past:
        stage = stage.model_copy(update={"since": min(now, float(past[0].times[0]) - 2 * DAY)})
    elif current is not None and (current.fixed, dict(current.pools)) == (stage.fixed, dict(stage.pools)):
        return known
    earlier = [other for other in known.stages if other.since < stage.since]
    later = [other for other in known.stages if other.since > now]
    return known.model_copy(update={"stages": (*earlier, stage, *later)})


def _side(past: Sequence[Segment], plan: Plan, now: float) -> Side:
    own = plan.of(past[-1].resource) if past else plan
    stage = own.stage_at(now)
    floor, ceiling = (own.floor(stage), own.ceiling(stage)) if stage else (0.0, 0.0)
    if not past:
        return Side(floor=floor, ceiling=ceiling, planned=None, line=None)
    flavors = sorted({pool.flavor for pool in stage.pools.values()} if stage else ())
    planned_verdict, line = (
        verdict(
            forecast(past, now=now, plan=plan, model=model),
            allocated=past[-1].allocated,
            rates={flavor: own.rate(flavor) for flavor in flavors},
            reserve_su=own.reserve_su,
        )
        for model in ("planned", "linear")
    )
    return Side(floor=floor, ceiling=ceiling, planned=planned_verdict, line=line)


def _fits(
    before: Mapping[str, Pool], after: Mapping[str, Pool], holds: Callable[[Mapping[str, Pool]], bool]
) -> dict[str, Pool]:
    """Each pool that grows, with the most nodes that hold with all others as asked for: by halving."""
    found = {}
    for name, pool in after.items():
        if only_shrinks(before, {name: pool}):
            continue
        low, high = 0, pool.max
        while low < high:
            middle = (low + high + 1) // 2
            if holds({**after, name: _of_at_most(pool, middle)}):
                low = middle
            else:
                high = middle - 1
        if low:
            found[name] = _of_at_most(pool, low)
    return found


def _of_at_most(pool: Pool, most: int) -> Pool:
    return pool.model_copy(update={"max": most, "min": min(pool.min, most)})
