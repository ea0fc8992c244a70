"""What if: an operator's plan with pools changed and days of classes or breaks added. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import Literal

from allocation import times
from allocation.errors import AllocationError
from allocation.plan import Plan, Pool, Stage, parse_plan


@dataclasses.dataclass(frozen=True)
class PoolChange:
    """A pool as it shall be from some moment on; ``pool`` None takes it away."""

    name: str
    pool: Pool | None


@dataclasses.dataclass(frozen=True)
class Days:
    """Days to mark in the calendar, first and last included."""

    kind: Literal["class", "break"]
    first: date
    last: date


def parse_pool(text: str) -> PoolChange:
    """A change written as ``NAME=FLAVOR:MIN:MAX`` or ``NAME=none``.

    Raises:
        AllocationError: if it is written otherwise, or its numbers cannot be.
    """
    name, _, value = text.partition("=")
    if name and value == "none":
        return PoolChange(name, None)
    flavor, *numbers = value.split(":")
    if not (name and flavor and len(numbers) == 2 and all(number.isdecimal() for number in numbers)):
        raise AllocationError(
            f"{text!r} is no change of a pool; write NAME=FLAVOR:MIN:MAX, such as low=m3.quad:1:8, "
            "or NAME=none"
        )
    fewest, most = (int(number) for number in numbers)
    if most < fewest:
        raise AllocationError(f"{text!r} has MAX {most} below MIN {fewest}; write the smaller number first")
    return PoolChange(name, Pool(flavor=flavor, min=fewest, max=most))


def parse_class(text: str) -> Days:
    """Days of a class, written as ``FIRST/LAST``. Raises AllocationError if they are written otherwise."""
    return _days("class", text)


def parse_break(text: str) -> Days:
    """Days of a break, written as ``FIRST/LAST``. Raises AllocationError if they are written otherwise."""
    return _days("break", text)


def changed(plan: Plan, *, since: float, pools: Sequence[PoolChange] = (), days: Sequence[Days] = ()) -> Plan:
    """The plan with changes that hold from one moment on, in the stage then in force and all later ones.

    Args:
        since: when the pools change, in seconds since the epoch; the days have dates of their own.

    Raises:
        AllocationError: if a pool is to change but the plan does not say what runs at that moment, if a
            pool to be taken away is not there, or if a flavor has no rate.
    """
    stages = _stages(plan, since, pools) if pools else plan.stages
    calendar = [
        *(period.model_dump() for period in plan.calendar),
        *({"kind": period.kind, "first": period.first, "last": period.last} for period in days),
    ]
    # By way of the parser, so that a plan made here keeps every rule that one from a file does.
    return parse_plan(
        plan.model_dump() | {"stages": [stage.model_dump() for stage in stages], "calendar": calendar},
        name="with the changes",
    )


def _stages(plan: Plan, since: float, pools: Sequence[PoolChange]) -> list[Stage]:
    """The plan's stages, cut at a moment from which the pools are others."""
    in_force = plan.stage_at(since)
    if in_force is None:
        raise AllocationError(
            f"the plan does not say what runs on {times.utc(since):%Y-%m-%d %H:%M} UTC, so a pool's change "
            "cannot be reckoned; give --plan a file whose stages: begin by then, with all nodes that run"
        )
    kept = [stage for stage in plan.stages if stage.since < since]
    later = [stage for stage in plan.stages if stage.since > since]
    begun = in_force.model_copy(update={"since": since})
    known = {name for stage in (begun, *later) for name in stage.pools}
    for change in pools:
        if change.pool is None and change.name not in known:
            raise AllocationError(
                f"there is no pool {change.name!r} to take away; the plan then has "
                f"{', '.join(sorted(known)) or 'none'}"
            )
    return [*kept, *(_with_pools(stage, pools) for stage in (begun, *later))]


def _with_pools(stage: Stage, changes: Sequence[PoolChange]) -> Stage:
    pools = dict(stage.pools)
    for change in changes:
        if change.pool is None:
            pools.pop(change.name, None)
        else:
            pools[change.name] = change.pool
    return stage.model_copy(update={"pools": pools})


def _days(kind: Literal["class", "break"], text: str) -> Days:
    first, _, last = text.partition("/")
    try:
        days = Days(kind, date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        raise AllocationError(
            f"{text!r} are no days; write FIRST/LAST, such as 2026-08-24/2026-12-11"
        ) from None
    if days.last < days.first:
        raise AllocationError(f"{text!r} ends before it begins; write the earlier day first")
    return days
