"""One year of bursty use on an allocation that autoscaling alone overdraws, with and without the ladder."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from allocation.history import Segment
from allocation.ladder import DRAIN_HOURS, LEAVE_DWELL, Reading, Rung, State, decide
from allocation.plan import Nodes, Plan, Pool
from allocation.reading import Past, reading
from allocation.times import DAY, HOUR
from benchmarks.synthetic import BUSY, RESOURCE

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

SETTLE_HOURS = 6
"""After this many hours the culler's greatest age, as the first rung has it, has ended every server."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of one allocation.

    Attributes:
        left_alone: SU left at the end without the ladder; below zero when overdrawn.
        left: SU left at the end with it.
        reserve: SU that were to be left.
        elastic: SU granted beyond the floor and the reserve.
        most_entries_a_day: how often at most one rung was entered within 24 h.
        highest: the highest rung reached.
        wanted, lost_alone, lost: user-hours asked for; not served without the ladder, and with it.
    """

    left_alone: float
    left: float
    reserve: float
    elastic: float
    most_entries_a_day: int
    highest: int
    wanted: float
    lost_alone: float
    lost: float


def replay_of(seed: int) -> Replay:
    """One year, twice."""
    random = np.random.default_rng([seed, 2])
    users = {name: demand(random, typical) for name, typical in (("low", 14.0), ("high", 4.0))}
    most = {"low": int(random.integers(6, 14)), "high": int(random.integers(3, 7))}
    alone, lost_alone, _ = run(users, most, None)
    floor = (FIXED + sum(RATE.values())) * HOURS
    elastic = alone[-1] - floor
    reserve = 0.02 * float(alone[-1])
    allocated = floor + reserve + float(random.uniform(0.4, 0.9)) * elastic
    braked, lost, rungs = run(users, most, Budget(allocated=allocated, reserve=reserve))
    return Replay(
        left_alone=float(allocated - alone[-1]),
        left=float(allocated - braked[-1]),
        reserve=reserve,
        elastic=float(allocated - floor - reserve),
        most_entries_a_day=most_entries(rungs),
        highest=int(max(rungs)),
        wanted=float(sum(hours.sum() for hours in users.values())),
        lost_alone=float(lost_alone),
        lost=float(lost),
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
    ladder = None if budget is None else Ladder(budget, most)
    rung = Rung.NORMAL
    running, nodes = dict.fromkeys(users, 0.0), dict.fromkeys(users, 1.0)
    frozen_for = shut_for = 0
    for hour in range(HOURS):
        if ladder is not None and hour >= 48:
            rung = ladder.rung_at(hour, used)
        rungs.append(int(rung))
        frozen_for = frozen_for + 1 if rung >= Rung.NO_NEW_SERVERS else 0
        shut_for = shut_for + 1 if rung == Rung.SHUTDOWN else 0
        burn = FIXED
        for name, wanted in users.items():
            idle = IDLE_SHORT if rung >= Rung.SHORTER_CULLING else IDLE
            servers = float(wanted[hour]) + idle * (float(wanted[hour - 1]) if hour else 0.0)
            if rung == Rung.SHUTDOWN:
                servers = running[name] if shut_for <= DRAIN_HOURS else 0.0
            elif frozen_for:
                servers = min(servers, running[name] * max(0.0, 1 - frozen_for / SETTLE_HOURS))
            # Nodes above a lowered ceiling go one by one, as the servers on them stop.
            ceiling = max(ceiling_of(most, name, rung), np.floor(nodes[name] * (1 - 1 / SETTLE_HOURS)))
            nodes[name] = float(min(max(np.ceil(servers / SEATS[name]), 1), ceiling))
            running[name] = min(servers, nodes[name] * SEATS[name])
            lost += max(0.0, float(wanted[hour]) - running[name])
            burn += nodes[name] * RATE[name]
        used[hour + 1] = used[hour] + burn
    return used, lost, rungs


class Ladder:
    """The ladder of one year: it reads the figures once a day, when they come, and decides every hour."""

    def __init__(self, budget: Budget, most: dict[str, int]) -> None:
        self.budget = budget
        self.most = most
        self.state = State(rung=Rung.NORMAL, since=START - LEAVE_DWELL)
        self.past = [Past(since=START - 2 * DAY, pools=pools_of(most, Rung.NORMAL))]
        self.reading: Reading | None = None
        self.steepest = 0.0

    def rung_at(self, hour: int, used: NDArray[np.float64]) -> Rung:
        """The rung of an hour; ``used`` is known to its beginning, of which a day is not yet reported."""
        now = START + hour * HOUR
        if self.reading is None or hour % 24 == 0:
            self.reading = self._read(hour - hour % 24, used)
            self.steepest = 0.0
        since = (now - self.reading.now) / HOUR
        above = above_floor(self.most, self.state.rung)
        self.steepest = max(self.steepest, above)
        decision = decide(
            self.state,
            dataclasses.replace(
                self.reading,
                now=now,
                # As the reading has it: hours without a figure count at the ceiling.
                spendable=self.reading.spendable - self.steepest * since,
                expected=self.reading.expected * (1 - since / self.reading.hours_left),
                ceiling_above_floor=above,
                hours_left=self.reading.hours_left - since,
            ),
        )
        if decision.state.rung != self.state.rung:
            self.past.append(Past(since=now, pools=pools_of(self.most, decision.state.rung)))
        self.state = decision.state
        return self.state.rung

    def _read(self, hour: int, used: NDArray[np.float64]) -> Reading:
        days = np.arange(0, hour - 23, 24)
        ledger = Segment(
            resource=RESOURCE,
            reason="first",
            starts_at=START,
            ends_at=START + HOURS * HOUR,
            allocated=self.budget.allocated,
            times=np.asarray(START + days * HOUR + DAY, dtype=np.float64),
            used=used[days],
        )
        return reading(
            [ledger],
            Plan(reporting_lag_hours=24, reserve_su=self.budget.reserve),
            fixed=(Nodes(flavor="m3.quad", count=2),),
            normal=pools_of(self.most, Rung.NORMAL),
            past=self.past,
            open_pools=pools_of(self.most, self.state.rung),
            settle_hours=SETTLE_HOURS,
            now=START + hour * HOUR,
        )


def ceiling_of(most: dict[str, int], name: str, rung: Rung) -> int:
    """Most nodes of a pool on a rung."""
    if rung >= Rung.HIGH_CLOSED and name == "high":
        return 1
    return most[name] if rung < Rung.LOWER_CEILINGS else 1 + (most[name] - 1) // 2


def above_floor(most: dict[str, int], rung: Rung) -> float:
    """SU/h between the floor and the ceiling of a rung."""
    return sum(RATE[name] * (ceiling_of(most, name, rung) - 1) for name in most)


def pools_of(most: dict[str, int], rung: Rung) -> dict[str, Pool]:
    """The pools of a rung; in a shutdown, of the rung below it."""
    return {
        name: Pool(
            flavor="m3.quad" if name == "low" else "m3.medium", min=1, max=ceiling_of(most, name, rung)
        )
        for name in most
    }


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
