"""Gateways that never were: a year of demand, nodes and late reports, from a seed.

Demand is made in users, hour by hour, and nodes from users as an autoscaler would; no formula of the
forecaster's is used. Each allocation has a term calendar, changes of plan, and an accounting that reports 12
to 24 h late.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocation.history import Segment
from allocation.plan import Nodes, Period, Plan, Pool, Stage
from allocation.rates import su_per_hour
from allocation.times import DAY, HOUR

RESOURCE = "jetstream2.indiana.xsede.org"
DAYS = 365
BUSY = np.array([4, 3, 2, 1, 1, 1, 1, 2, 4, 7, 10, 11, 10, 11, 12, 12, 11, 9, 8, 8, 8, 7, 6, 5], dtype=float)
"""Relative use by hour of the day: quiet nights, busy afternoons."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gateway:
    """One allocation, as it was and as it was reported.

    Attributes:
        plan: its stages and calendar, all of them.
        changes: when its stages after the first began, seconds since the epoch.
        times, used: shape (hours + 1,), SU really used since the start.
        reported: what the ledger has.
    """

    plan: Plan
    changes: tuple[float, ...]
    times: NDArray[np.float64]
    used: NDArray[np.float64]
    reported: Segment


def gateway(seed: int) -> Gateway:
    """The allocation that a seed stands for."""
    random = np.random.default_rng(seed)
    begins = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=int(random.integers(0, 700)))
    start = begins.timestamp()
    calendar, level = _terms(random, begins)
    stages = _stages(random, start)
    hourly = np.zeros(DAYS * 24)
    begun = [stage.since for stage in stages]
    stage_of_hour = np.searchsorted(begun, start + np.arange(DAYS * 24) * HOUR, "right") - 1
    for name, typical, seats in _audiences(random):
        users = _users(random, begins, level, typical)
        for index, stage in enumerate(stages):
            here = stage_of_hour == index
            pool = stage.pools[name]
            # A flavor of twice the price seats twice as many.
            per_node = seats * su_per_hour(pool.flavor) / 4
            nodes = np.clip(np.ceil(users[here] / per_node), pool.min, pool.max)
            hourly[here] += nodes * su_per_hour(pool.flavor)
    for index, stage in enumerate(stages):
        hourly[stage_of_hour == index] += sum(
            nodes.count * su_per_hour(nodes.flavor) for nodes in stage.fixed
        )
    times = np.asarray(start + np.arange(DAYS * 24 + 1) * HOUR, dtype=np.float64)
    used = np.concatenate([[0.0], np.cumsum(hourly)])
    return Gateway(
        plan=Plan(reporting_lag_hours=18, stages=stages, calendar=calendar),
        changes=tuple(stage.since for stage in stages[1:]),
        times=times,
        used=used,
        reported=_reports(random, times, used),
    )


def _terms(random: np.random.Generator, begins: datetime) -> tuple[tuple[Period, ...], NDArray[np.float64]]:
    """A calendar, and how busy each day is; the days of a break differ from one break to the next."""
    periods: list[Period] = []
    level = np.full(DAYS, random.uniform(0.25, 0.6))
    for year in range(begins.year - 1, begins.year + 2):
        shift = timedelta(days=int(random.integers(-7, 8)))
        dates: tuple[tuple[str, Literal["class", "break"], datetime, int], ...] = (
            ("spring term", "class", datetime(year, 1, 16, tzinfo=UTC), 105),
            ("spring break", "break", datetime(year, 3, 14, tzinfo=UTC), 7),
            ("fall term", "class", datetime(year, 8, 22, tzinfo=UTC), 110),
            ("winter break", "break", datetime(year, 12, 18, tzinfo=UTC), 20),
        )
        for name, kind, first, length in dates:
            offset = (first + shift - begins).days
            days = np.arange(max(offset, 0), min(offset + length, DAYS))
            if len(days):
                day = (begins + timedelta(days=int(days[0]))).date()
                last = (begins + timedelta(days=int(days[-1]))).date()
                periods.append(Period(kind=kind, first=day, last=last, name=name))
                level[days] = random.uniform(0.8, 1.2) if kind == "class" else random.uniform(0.03, 0.25)
    return tuple(periods), level


def _stages(random: np.random.Generator, start: float) -> tuple[Stage, ...]:
    """Two to four stages, at least six weeks apart; each change is to be noticed: half a node's price or
    more."""
    count = int(random.integers(1, 4))
    gaps = random.dirichlet(np.ones(count + 1)) * (DAYS - 45 * (count + 1)) + 45
    sinces = [start, *(start + np.round(np.cumsum(gaps)[:count] * 24) * HOUR)]
    stages: list[Stage] = []
    for since in sinces:
        while True:
            stage = _stage(random, float(since))
            if not stages:
                break
            before = Plan().floor(stages[-1])
            if abs(Plan().floor(stage) - before) >= before * 0.25:
                break
        stages.append(stage)
    return tuple(stages)


def _stage(random: np.random.Generator, since: float) -> Stage:
    low, high = int(random.integers(1, 5)), int(random.integers(1, 4))
    return Stage(
        since=since,
        fixed=(
            Nodes(flavor="m3.quad", count=2),
            Nodes(flavor="m3.medium", count=int(random.integers(0, 3))),
        ),
        pools={
            "low": Pool(flavor="m3.quad", min=low, max=low + int(random.integers(1, 9))),
            "high": Pool(
                flavor=str(random.choice(["m3.medium", "m3.large"], p=[0.8, 0.2])),
                min=high,
                max=high + int(random.integers(1, 7)),
            ),
        },
    )


def _audiences(random: np.random.Generator) -> Sequence[tuple[str, float, float]]:
    """Pool, users at once on an ordinary class afternoon, seats on a node of 4 SU/h."""
    return (("low", random.uniform(2, 25), 3.0), ("high", random.uniform(0.5, 8), 1.0))


def _users(
    random: np.random.Generator, begins: datetime, level: NDArray[np.float64], typical: float
) -> NDArray[np.float64]:
    """Users at once, hour by hour: term, weekday, hour, a level that wanders, and chance."""
    weekday = (begins.weekday() + np.arange(DAYS)) % 7
    week = np.append(random.uniform(0.8, 1.2, 5), random.uniform(0.15, 0.6, 2))
    wander = np.exp(np.cumsum(random.normal(0, 0.02, DAYS)))
    mood = np.exp(random.normal(0, 0.2, DAYS))
    daily = typical * level * week[weekday] * wander * mood
    hours = np.repeat(daily, 24) * np.tile(np.roll(BUSY / BUSY.max(), int(random.integers(0, 24))), DAYS)
    return np.asarray(random.poisson(hours), dtype=np.float64)


def _reports(random: np.random.Generator, times: NDArray[np.float64], used: NDArray[np.float64]) -> Segment:
    """What a ledger holds: the accounting closes once a day, 12 to 24 h late, and some fetches are missed."""
    hour = float(random.integers(0, 24)) * HOUR
    lag = random.uniform(12, 24) * HOUR
    closings = np.arange(times[0] + hour, times[-1] + 2 * DAY, DAY)
    figures = np.interp(closings + random.normal(0, HOUR, len(closings)) - lag, times, used)
    figures = np.maximum.accumulate(figures)
    every = float(random.choice([1, 6, 24])) * HOUR
    fetched = np.arange(times[0] + DAY, times[-1] + DAY, every)
    fetched = fetched[random.random(len(fetched)) > 0.02]
    shown = figures[np.maximum(np.searchsorted(closings, fetched, "right") - 1, 0)]
    return Segment(
        resource=RESOURCE,
        reason="first",
        starts_at=float(times[0]),
        ends_at=float(times[-1]),
        allocated=float(used[-1]),
        times=fetched,
        used=shown,
    )
