"""Segments for tests of the models: a burn by the hour or the day, turned into figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from allocation.history import Reason, Segment
from allocation.plan import Nodes, Plan, Pool, Stage
from allocation.times import DAY, HOUR, day_begins
from tests.unit.allocation.ledgers import CPU

MONDAY = day_begins(date(2025, 9, 1))
"""The first moment of a Monday."""


def segment(
    used: Sequence[float],
    *,
    every: float = DAY,
    begins: float = MONDAY,
    lasts_days: float = 365,
    allocated: float = 100_000.0,
    reason: Reason = "first",
    starts_at: float | None = None,
) -> Segment:
    """Figures at even steps."""
    start = begins if starts_at is None else starts_at
    return Segment(
        resource=CPU,
        reason=reason,
        starts_at=start,
        ends_at=start + lasts_days * DAY,
        allocated=allocated,
        times=np.asarray(begins + np.arange(len(used)) * every, dtype=np.float64),
        used=np.asarray(used, dtype=np.float64),
    )


def burning(
    days: Sequence[float], *, begins: float = MONDAY, before: float = 0.0, lasts_days: float = 365
) -> Segment:
    """A figure at each midnight of a gateway that burns so many SU/h on each day."""
    used = before + np.concatenate([[0.0], np.cumsum(np.asarray(days) * 24)])
    return segment(list(used), begins=begins, lasts_days=lasts_days)


def last(known: Segment) -> float:
    return float(known.times[-1])


def pools(*, since: float, fixed: int = 2, low: tuple[int, int] = (1, 10)) -> Stage:
    """So many m3.quad nodes that always run (4 SU/h each), and a pool of m3.medium (8 SU/h each)."""
    return Stage(
        since=since,
        fixed=(Nodes(flavor="m3.quad", count=fixed),),
        pools={"low": Pool(flavor="m3.medium", min=low[0], max=low[1])},
    )


def plan_of(*stages: Stage) -> Plan:
    return Plan(stages=stages)


def hourly(values: Sequence[float], **more: float) -> Segment:
    return segment(values, every=HOUR, **more)  # type: ignore[arg-type]
