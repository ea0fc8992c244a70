"""What the budget ladder does: 200 seeded years of bursty use on allocations that autoscaling alone
overdraws.

    .venv/bin/python -m benchmarks.budget            # about five minutes
    .venv/bin/python -m benchmarks.budget --json

Each replay has a floor, two pools, terms, weekends and workshops of a day or two at several times the usual
use, and an accounting that reports a day late. It is run twice: without the ladder, and with it. The ladder
decides every hour from the planned model's forecast of that day.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from allocation import history
from allocation.history import Segment
from allocation.ladder import LEAVE_DWELL, Decision, Reading, Rung, State, decide
from allocation.plan import Nodes, Plan, Pool, Stage
from allocation.planned import planned
from allocation.times import DAY, HOUR
from benchmarks.figures import Figure, show
from benchmarks.synthetic import BUSY, RESOURCE

REPLAYS = 200
HOURS = 365 * 24
START = 1_735_689_600.0
"""The first moment of 2025."""

FIXED = 8.0
RATE = {"low": 4.0, "high": 8.0}
SEATS = {"low": 2.0, "high": 2.0}
"""SU/h and users of one node."""

IDLE, IDLE_SHORT = 0.6, 0.2
"""Part of an hour's users whose server still runs in the next hour, by the usual and by the shorter
culling."""

SETTLE_HOURS = 12
"""After this many hours the culler's greatest age has ended every server."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of one allocation.

    Attributes:
        left_alone: SU left at the end without the ladder; below zero when overdrawn.
        left: SU left at the end with it.
        reserve: SU that were to be left.
        most_entries_a_day: how often at most one rung was entered within 24 h.
        highest: the highest rung reached.
        wanted, lost_alone, lost: user-hours asked for; not served without the ladder, and with it.
    """

    left_alone: float
    left: float
    reserve: float
    most_entries_a_day: int
    highest: int
    wanted: float
    lost_alone: float
    lost: float


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    replays: Annotated[int, typer.Option(help="How many years.")] = REPLAYS,
) -> None:
    """Replay years of use with and without the ladder. Exit status 1 when a target is missed."""
    done: list[Replay] = []
    with (
        concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        for replay in progress.track(pool.map(replay_of, range(replays)), total=replays):
            done.append(replay)
    braked = sum(replay.lost - replay.lost_alone for replay in done) / sum(replay.wanted for replay in done)
    unspent = [
        (replay.left - replay.reserve) / -replay.left_alone for replay in done if replay.left_alone < 0
    ]
    show(
        [
            Figure(
                name="replays that autoscaling alone does not overdraw",
                unit="replays",
                value=sum(replay.left_alone >= 0 for replay in done),
                target=0,
            ),
            Figure(
                name="replays overdrawn under the ladder",
                unit="replays",
                value=sum(replay.left < 0 for replay in done),
                target=0,
            ),
            Figure(
                name="replays whose reserve was touched",
                unit="replays",
                value=sum(replay.left < replay.reserve for replay in done),
                target=0,
            ),
            Figure(
                name="times that a rung was entered within a day, at most",
                unit="times",
                value=max(replay.most_entries_a_day for replay in done),
                target=1,
            ),
            Figure(
                name="user-hours lost to braking, of those asked for",
                unit="%",
                value=100 * braked,
                target=100,
            ),
            Figure(
                name="left unspent beyond the reserve, of what would have been overdrawn, median",
                unit="%",
                value=100 * float(np.median(unspent)),
                target=100,
            ),
            Figure(
                name="highest rung reached, mean",
                unit="",
                value=float(np.mean([replay.highest for replay in done])),
                target=5,
            ),
        ],
        as_json=as_json,
    )


def replay_of(seed: int) -> Replay:
    """One year, twice."""
    random = np.random.default_rng([seed, 2])
    users = {name: demand(random, typical) for name, typical in (("low", 14.0), ("high", 4.0))}
    most = {"low": int(random.integers(6, 14)), "high": int(random.integers(3, 7))}
    alone, lost_alone, _ = run(users, most, None)
    floor = (FIXED + sum(RATE.values())) * HOURS
    elastic = alone[-1] - floor
    reserve = 0.02 * alone[-1]
    allocated = floor + reserve + float(random.uniform(0.4, 0.9)) * elastic
    braked, lost, rungs = run(users, most, Budget(allocated=allocated, reserve=reserve))
    return Replay(
        left_alone=float(allocated - alone[-1]),
        left=float(allocated - braked[-1]),
        reserve=reserve,
        most_entries_a_day=most_entries(rungs),
        highest=int(max(rungs)),
        wanted=float(sum(hours.sum() for hours in users.values())),
        lost_alone=lost_alone,
        lost=lost,
    )


def demand(random: np.random.Generator, typical: float) -> NDArray[np.float64]:
    """Users at once by the hour: terms, weekdays, chance, and workshops."""
    day = np.arange(365)
    level = np.where((day % 180) < 110, 1.0, 0.3) * np.where(day % 7 < 5, 1.0, 0.4)
    level = level * np.exp(random.normal(0, 0.3, 365)) * random.uniform(0.4, 1.6)
    for first in random.integers(0, 363, size=int(random.integers(4, 12))):
        level[first : first + int(random.integers(1, 4))] *= random.uniform(3, 8)
    hours = np.repeat(typical * level, 24) * np.tile(BUSY / BUSY.max(), 365)
    return np.asarray(random.poisson(hours), dtype=np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What the ladder guards."""

    allocated: float
    reserve: float


def run(
    users: dict[str, NDArray[np.float64]], most: dict[str, int], budget: Budget | None
) -> tuple[NDArray[np.float64], float, list[int]]:
    """SU used at each hour's end, user-hours not served, and the rung of each hour."""
    used = np.zeros(HOURS + 1)
    lost = 0.0
    rungs: list[int] = []
    state = State(rung=Rung.NORMAL, since=START - LEAVE_DWELL)
    stages = [stage_of(START, most, Rung.NORMAL)]
    running = dict.fromkeys(users, 0.0)
    expected, frozen_for = 0.0, 0
    for hour in range(HOURS):
        now = START + hour * HOUR
        if budget is not None and hour >= 48:
            if hour % 24 == 0:
                expected = expected_above_floor(
                    used[: hour + 1], stages, now, stage_of(now, most, Rung.NORMAL)
                )
            after = step(state, hour, used=used, most=most, expected=expected, budget=budget).state
            if after.rung != state.rung:
                stages.append(stage_of(now, most, after.rung))
            state = after
        rungs.append(int(state.rung))
        frozen_for = frozen_for + 1 if state.rung >= Rung.NO_NEW_SERVERS else 0
        burn = FIXED
        for name, wanted in users.items():
            pool = stages[-1].pools[name]
            idle = IDLE_SHORT if state.rung >= Rung.SHORTER_CULLING else IDLE
            servers = float(wanted[hour]) + idle * (float(wanted[hour - 1]) if hour else 0.0)
            if state.rung == Rung.SHUTDOWN:
                servers = 0.0
            elif frozen_for:
                servers = min(servers, running[name] * max(0.0, 1 - frozen_for / SETTLE_HOURS))
            nodes = min(max(np.ceil(servers / SEATS[name]), pool.min), pool.max)
            running[name] = min(servers, nodes * SEATS[name])
            lost += max(0.0, float(wanted[hour]) - running[name])
            burn += nodes * RATE[name]
        used[hour + 1] = used[hour] + burn
    return used, lost, rungs


def step(
    state: State,
    hour: int,
    *,
    used: NDArray[np.float64],
    most: dict[str, int],
    expected: float,
    budget: Budget,
) -> Decision:
    """The ladder's decision in an hour."""
    ceiling = sum(RATE[name] * (ceiling_of(most, name, state.rung) - 1) for name in most)
    floor = FIXED + sum(RATE.values())
    # Reports are a day late, but what ran since can be computed from the servers themselves.
    left = budget.allocated - budget.reserve - used[hour] - floor * (HOURS - hour)
    return decide(
        state,
        Reading(
            now=START + hour * HOUR,
            spendable=float(left),
            expected=expected * (HOURS - hour) / max(1, HOURS - hour + hour % 24),
            ceiling_above_floor=ceiling,
            settle_hours=SETTLE_HOURS / 2,
        ),
    )


def ceiling_of(most: dict[str, int], name: str, rung: Rung) -> int:
    """Most nodes of a pool on a rung."""
    if rung >= Rung.HIGH_CLOSED and name == "high":
        return 1
    return most[name] if rung < Rung.LOWER_CEILINGS else 1 + (most[name] - 1) // 2


def stage_of(since: float, most: dict[str, int], rung: Rung) -> Stage:
    """The plan on a rung."""
    pools = {
        name: Pool(
            flavor="m3.quad" if name == "low" else "m3.medium", min=1, max=ceiling_of(most, name, rung)
        )
        for name in most
    }
    return Stage(since=since, fixed=(Nodes(flavor="m3.quad", count=2),), pools=pools)


def expected_above_floor(used: NDArray[np.float64], stages: list[Stage], now: float, normal: Stage) -> float:
    """SU above the floor to the end if nothing brakes from now on, by the planned model on reports a day
    late."""
    days = np.arange(0, len(used) - 24, 24)
    ledger = Segment(
        resource=RESOURCE,
        reason="first",
        starts_at=START,
        ends_at=START + HOURS * HOUR,
        allocated=0.0,
        times=np.asarray(START + days * HOUR + DAY, dtype=np.float64),
        used=used[days],
    )
    past = [stage for stage in stages if stage.since < now]
    plan = Plan(reporting_lag_hours=24, stages=(*past, normal.model_copy(update={"since": now})))
    path = planned(history.until([ledger], now), now, plan)
    hours = float(path.times[-1] - now) / HOUR
    return float(path.expected[-1] - path.expected[0]) - plan.floor(normal) * hours


def most_entries(rungs: list[int]) -> int:
    """How often at most one rung was climbed to within 24 hours."""
    climbed = [(hour, rung) for hour, (before, rung) in enumerate(itertools.pairwise(rungs)) if rung > before]
    return max(
        (
            sum(1 for later, other in climbed if other == rung and 0 <= later - hour < 24)
            for hour, rung in climbed
        ),
        default=0,
    )


if __name__ == "__main__":
    typer.run(main)
