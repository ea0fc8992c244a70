"""The operator's plan: which nodes run from when on, and which days are classes or breaks. A YAML file.

The plan is what the forecaster knows of the future; ``docs/allocation.md`` has an example.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from allocation import rates, times
from allocation.errors import AllocationError

Text = Annotated[str, Field(min_length=1)]

YEARS = range(2000, 2200)
"""A time outside of these is a slip."""


def _moment(value: object) -> object:
    """Seconds since the epoch from what YAML makes of a date or time, or from its text."""
    if isinstance(value, date):  # a datetime is one too
        value = value.isoformat()
    if isinstance(value, str):
        try:
            return times.parse_time(value)
        except AllocationError as error:
            raise ValueError(str(error)) from None
    return value


def _of_these_centuries(seconds: float) -> float:
    """The same. A number such as 20260801 is a date without its dashes, not seconds: of the year 1970."""
    if not times.day_begins(date(YEARS[0], 1, 1)) <= seconds < times.day_begins(date(YEARS[-1] + 1, 1, 1)):
        raise ValueError(f"is not in the years {YEARS[0]} to {YEARS[-1]}; write a time such as 2026-08-24")
    return seconds


Moment = Annotated[float, BeforeValidator(_moment), AfterValidator(_of_these_centuries)]
Count = Annotated[int, Field(ge=0, le=100_000)]
"""Of nodes; more than any cloud has is a slip."""


class Section(BaseModel):
    """A part of the plan: closed, so that a misspelt key is an error, and unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nodes(Section):
    """Nodes that always run: control plane, core node, a server beside the cluster."""

    flavor: Text
    count: Count


class Pool(Section):
    """Nodes for users, which the autoscaler keeps between two numbers."""

    flavor: Text
    min: Count
    max: Count

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, most: int, info: ValidationInfo) -> int:
        fewest = info.data.get("min")
        if fewest is not None and most < fewest:
            raise ValueError(f"is {most}, below min, which is {fewest}; set {fewest} or more")
        return most


class Stage(Section):
    """The nodes from one moment on, until the next stage begins.

    Attributes:
        since: seconds since the epoch; in the file a date (its first moment, UTC) or a time.
    """

    since: Moment
    fixed: tuple[Nodes, ...] = ()
    pools: Mapping[str, Pool] = {}


class Period(Section):
    """Days of one kind, first and last included. Days in no period are ordinary.

    Attributes:
        kind: ``class`` when people are taught on the gateway, ``break`` when nobody is expected to be.
        level: how busy its days are, with ordinary class days as 1; None has the history tell.
    """

    kind: Literal["class", "break"]
    first: date
    last: date
    name: str = ""
    level: float | None = Field(default=None, ge=0, le=20)

    @field_validator("last")
    @classmethod
    def _not_before_first(cls, last: date, info: ValidationInfo) -> date:
        first = info.data.get("first")
        if first is not None and last < first:
            raise ValueError(f"is {last}, before first, which is {first}")
        return last


class Plan(Section):
    """All of it.

    Attributes:
        resource: the accounting resource it is about; None when the ledger has only one.
        reporting_lag_hours: how far the reported figures trail behind the use. Jetstream2: 12 to 24.
        reserve_su: SU that shall be left at the end.
        rates: SU/h of flavors that ``rates`` does not know, or has wrong.
        stages: in order of ``since``.
        calendar: classes and breaks; where two overlap the later in the list counts.
    """

    resource: Text | None = None
    reporting_lag_hours: float = Field(default=0, ge=0, le=72)
    reserve_su: float = Field(default=0, ge=0, le=1e15)
    rates: Mapping[str, Annotated[float, Field(ge=0, le=1e6)]] = {}
    stages: tuple[Stage, ...] = ()
    calendar: tuple[Period, ...] = ()

    @field_validator("stages")
    @classmethod
    def _in_order(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        for before, after in itertools.pairwise(stages):
            if after.since <= before.since:
                raise ValueError(
                    f"are not in order: {times.utc(after.since)} comes after {times.utc(before.since)}"
                )
        return stages

    def of(self, resource: str) -> Plan:
        """The plan of one resource: without what burns another, and without stages if nothing is left.

        What burns none of the listed resources counts for the one that the plan is about. The reserve is that
        one's too.
        """
        about = self.resource in (None, resource)

        def burns(flavor: str) -> bool:
            known = rates.resource_of(flavor) if resource in rates.RESOURCES else None
            return about if known is None else known == resource

        stages = tuple(
            stage.model_copy(
                update={
                    "fixed": tuple(nodes for nodes in stage.fixed if burns(nodes.flavor)),
                    "pools": {name: pool for name, pool in stage.pools.items() if burns(pool.flavor)},
                }
            )
            for stage in self.stages
        )
        if stages != self.stages and not any(stage.fixed or stage.pools for stage in stages):
            stages = ()
        return self.model_copy(update={"stages": stages, "reserve_su": self.reserve_su if about else 0.0})

    def known_at(self, moment: float) -> Plan:
        """The plan without the stages that had not begun by then: for looking at the past as it was."""
        begun = tuple(stage for stage in self.stages if stage.since <= moment)
        return self.model_copy(update={"stages": begun})

    def stage_at(self, moment: float) -> Stage | None:
        """The stage in force at a time; None before the first."""
        index = bisect.bisect_right([stage.since for stage in self.stages], moment)
        return self.stages[index - 1] if index else None

    def fixed(self, stage: Stage) -> float:
        """SU/h of the nodes that always run.

        Raises:
            rates.UnknownFlavor: if a flavor has no rate.
        """
        return sum(nodes.count * self.rate(nodes.flavor) for nodes in stage.fixed)

    def floor(self, stage: Stage) -> float:
        """SU/h when no pool has more nodes than it must. Raises as ``fixed``."""
        return self.fixed(stage) + sum(pool.min * self.rate(pool.flavor) for pool in stage.pools.values())

    def ceiling(self, stage: Stage) -> float:
        """SU/h when every pool has all its nodes. Raises as ``fixed``."""
        return self.fixed(stage) + sum(pool.max * self.rate(pool.flavor) for pool in stage.pools.values())

    def rate(self, flavor: str) -> float:
        """SU/h of one node of a flavor. Raises as ``fixed``."""
        return rates.su_per_hour(flavor, own=self.rates)


def read_plan(path: Path) -> Plan:
    """Reads a plan file.

    Raises:
        AllocationError: if it cannot be read or is no plan; the message names the file, the key, the value
            and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AllocationError(f"the plan {path} cannot be read: {error}") from None
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # the latter of what looks like a date, such as 2026-02-30
        raise AllocationError(f"the plan {path} is not YAML: {error}") from None
    return parse_plan({} if raw is None else raw, name=str(path))


def parse_plan(raw: Any, *, name: str) -> Plan:
    """A plan from what YAML or JSON made of it.

    Args:
        name: what to call it in messages.

    Raises:
        AllocationError: if it is no plan, or names a flavor without a rate.
    """
    if not isinstance(raw, dict):
        raise AllocationError(f"the plan {name} is not a list of keys such as stages: and calendar:")
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as failure:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc'])}: "
            f"{problem['msg'].removeprefix('Value error, ')} (it is {problem['input']!r})"
            for problem in failure.errors(include_url=False)
        ]
        raise AllocationError("\n  ".join([f"the plan {name} is not valid:", *problems])) from None
    for stage in plan.stages:
        try:
            plan.ceiling(stage)
        except rates.UnknownFlavor as error:
            raise AllocationError(f"the plan {name}: {error}") from None
    return plan
