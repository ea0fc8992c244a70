"""The report on one resource: what each model says of it, as data and as JSON. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocation import drift, history, rates, times
from allocation import verdict as verdicts
from allocation.drift import Agreement
from allocation.errors import AllocationError
from allocation.forecast import MODELS, Forecast, Model, forecast
from allocation.history import Segment
from allocation.ledger import BadLine, Ledger
from allocation.plan import Plan
from allocation.samples import Sample
from allocation.verdict import Verdict

STALE_HOURS = 48.0
"""Age from which figures are called old: ``record`` runs daily, so by then a run was missed."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What is known of one resource at a time, and what the models make of it.

    Attributes:
        path: the ledger.
        resource: as the accounting API names it.
        others: the ledger's other resources.
        now: seconds since the epoch; nothing later was looked at.
        plan: what the planned model knew: the part of it that is about the resource.
        segments: the resource's, up to now, one or more.
        agreement: of the reported use with the computed; None if there are no samples of that.
        bad: lines of the ledger that are none.
        forecasts, verdicts: by model, in the order in which they were asked for.
    """

    path: Path
    resource: str
    others: tuple[str, ...]
    now: float
    plan: Plan
    segments: tuple[Segment, ...]
    agreement: Agreement | None
    bad: tuple[BadLine, ...]
    forecasts: Mapping[Model, Forecast]
    verdicts: Mapping[Model, Verdict]

    @property
    def current(self) -> Segment:
        """The segment that the allocation is in."""
        return self.segments[-1]

    @property
    def data_until(self) -> float:
        """When the newest figure was fetched, in seconds since the epoch."""
        return float(self.current.times[-1])

    @property
    def data_age_hours(self) -> float:
        """Hours from the newest figure to now."""
        return (self.now - self.data_until) / times.HOUR

    @property
    def used(self) -> float:
        """SU used according to the newest figure."""
        return float(self.current.used[-1])

    @property
    def deciding(self) -> Model:
        """The model whose verdict is the report's: ``planned``, or else the first one asked."""
        return "planned" if "planned" in self.verdicts else next(iter(self.verdicts))

    @property
    def verdict(self) -> Verdict:
        """The deciding model's verdict."""
        return self.verdicts[self.deciding]

    @property
    def status(self) -> int:
        """Exit status: 0 within the allocation, 3 warning, 4 over it."""
        return verdicts.STATUS[self.verdict.level]


def report(
    ledger: Ledger,
    *,
    plan: Plan,
    now: float,
    resource: str | None = None,
    models: Sequence[Model] = MODELS,
    samples: Sequence[Sample] = (),
) -> Report:
    """Asks the models about one resource of a ledger.

    Args:
        plan: ``Plan()`` when nothing is known of the future.
        now: seconds since the epoch; rows later than that are not looked at.
        resource: None for the plan's, else the only one, else Jetstream2's CPU resource.
        models: one or more.
        samples: of the computed burn, of all resources.

    Raises:
        AllocationError: if the ledger has no figures of that resource from before that time.
    """
    name = choose_resource(ledger, resource or plan.resource)
    plan = plan.of(name)
    segments = ledger.segments[name]
    current = history.current(segments, now)
    known = history.until(segments, now)
    sampled = [sample for sample in samples if sample.resource == name and sample.timestamp <= now]
    node_rates = rates_of(name, plan)
    forecasts = {model: forecast(segments, now=now, plan=plan, model=model) for model in models}
    return Report(
        path=ledger.path,
        resource=name,
        others=tuple(other for other in ledger.segments if other != name),
        now=now,
        plan=plan,
        segments=tuple(known),
        agreement=drift.agreement(known, sampled) if sampled else None,
        bad=ledger.bad,
        forecasts=forecasts,
        verdicts={
            model: verdicts.verdict(
                made, allocated=current.allocated, rates=node_rates, reserve_su=plan.reserve_su
            )
            for model, made in forecasts.items()
        },
    )


def choose_resource(ledger: Ledger, asked: str | None) -> str:
    """The resource to report on: the one asked for, else the only one, else Jetstream2's CPU resource.

    Raises:
        AllocationError: if the ledger does not have it, or it is not clear which is meant.
    """
    there = sorted(ledger.segments)
    if not there:
        reason = f"; its line {ledger.bad[0].number} {ledger.bad[0].reason}" if ledger.bad else " yet"
        raise AllocationError(f"the ledger {ledger.path} has no figures{reason}; `record` fetches them")
    if asked is not None:
        if asked not in there:
            raise AllocationError(
                f"the ledger {ledger.path} has no figures of {asked!r}; it has those of {', '.join(there)}"
            )
        return asked
    if len(there) == 1:
        return there[0]
    if rates.CPU in there:
        return rates.CPU
    raise AllocationError(
        f"the ledger {ledger.path} has figures of {', '.join(there)}; say which by --resource"
    )


def rates_of(resource: str, plan: Plan) -> dict[str, float]:
    """SU/h of the flavors that count for a resource: the listed ones and the plan's own, cheapest first."""
    fixed = {nodes.flavor for stage in plan.stages for nodes in stage.fixed}
    pools = {pool.flavor for stage in plan.stages for pool in stage.pools.values()}
    flavors = {*rates.flavors_of(resource), *plan.rates, *fixed, *pools}
    found = {flavor: plan.rate(flavor) for flavor in flavors if rates.resource_of(flavor) in (resource, None)}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def as_json(made: Report) -> dict[str, Any]:
    """The report as JSON has it: times in ISO 8601 (UTC), SU and SU/h as numbers."""
    current = made.current
    return {
        "resource": made.resource,
        "now": iso(made.now),
        "data_until": iso(made.data_until),
        "data_age_hours": made.data_age_hours,
        "allocated": current.allocated,
        "used": made.used,
        "starts_at": iso(current.starts_at),
        "ends_at": iso(current.ends_at),
        "segments": [
            {
                "reason": segment.reason,
                "starts_at": iso(segment.starts_at),
                "ends_at": iso(segment.ends_at),
                "allocated": segment.allocated,
                "first_row_at": iso(float(segment.times[0])),
                "last_row_at": iso(float(segment.times[-1])),
                "rows": len(segment.times),
            }
            for segment in made.segments
        ],
        "bad_lines": [dataclasses.asdict(line) for line in made.bad],
        "models": {model: verdicts.as_json(verdict) for model, verdict in made.verdicts.items()},
    }


def agreement_as_json(made: Agreement) -> dict[str, Any]:
    """The agreement of reported and computed use as JSON has it, in SU and hours."""
    days = [{**dataclasses.asdict(day), "day": day.day.isoformat()} for day in made.days]
    return {"ratio": made.ratio, "lag_hours": made.lag_hours, "sentence": made.sentence, "days": days}


def iso(seconds: float) -> str:
    """A time in ISO 8601, in UTC to the second, such as ``2026-08-24T13:00:00Z``."""
    return f"{times.utc(seconds):%Y-%m-%dT%H:%M:%SZ}"
