"""A year of the ladder as the scheduled run decides it: each rung climbed in order, and left again."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pytest

from allocation.errors import AllocationError
from allocation.history import Segment
from allocation.ladder import CLIMB_DWELL, LEAVE_DWELL, Rung
from allocation.times import DAY, HOUR, day_begins
from stacks import rungs
from stacks.brake import Ruling, rule
from stacks.forecast_hook import fixed_nodes, known_of
from stacks.rung_file import START, Standing
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, configuration

CPU = "jetstream2.indiana.xsede.org"
BEGINS, ENDS = day_begins(date(2025, 1, 1)), day_begins(date(2026, 1, 1))
FIXED, RATE = 8.0, {"low": 4.0, "high": 8.0}
"""SU/h of two m3.quad, and of a node of each pool."""


def settings(**budget: object) -> Settings:
    plain = parse(*configuration(GOOD / "smallest.yaml"))
    pools = {name: pool.model_copy(update={"max": 8}) for name, pool in plain.pools.items()}
    reserve = {"reserve_su": 1000.0, "reporting_lag_hours": 24.0, **budget}
    return plain.model_copy(update={"pools": pools, "budget": plain.budget.model_copy(update=reserve)})


def segment(times: list[float], used: list[float], allocated: float, reason: str = "first") -> Segment:
    return Segment(
        resource=CPU,
        reason="supplement" if reason == "supplement" else "first",
        starts_at=BEGINS,
        ends_at=ENDS,
        allocated=allocated,
        times=np.array(times),
        used=np.array(used),
    )


def ruled(
    found: Settings,
    segments: list[Segment],
    standing: Standing = START,
    *,
    now: float,
    failed: str | None = None,
) -> Ruling:
    known, _ = known_of(found, {"m3.quad", "m3.medium"}, now=now)
    return rule(found, segments, known, fixed_nodes(found), standing, now=now, failed=failed)


class Year:
    """A gateway in its cloud: what it burns on each rung, and what the accounting says a day late."""

    def __init__(self, found: Settings, granted: float) -> None:
        self.settings, self.granted = found, granted
        self.supplement_day: int | None = None
        self.used = [0.0]
        self.rulings: list[Ruling] = []
        self.standing = START

    def burn(self, wanted: float, unplanned: float) -> None:
        """One hour in which users want a part of all nodes; and servers run that nobody planned."""
        rung = self.standing.state.rung
        burn = FIXED + unplanned
        for name, pool in rungs.pools(self.settings, rung).items():
            nodes = pool.min + (self.settings.pools[name].max - pool.min) * wanted
            if rung >= Rung.NO_NEW_SERVERS:
                nodes = pool.min
            burn += RATE[name] * min(nodes, pool.max)
        self.used.append(self.used[-1] + burn)

    def segments(self) -> list[Segment]:
        """Daily figures, each a day old; a supplement begins a segment of its own."""
        hours = len(self.used) - 1
        days = list(range(0, hours - 23, 24))
        split = len(days) if self.supplement_day is None else self.supplement_day
        parts = [(days[:split], self.granted, "first"), (days[split:], 2 * self.granted, "supplement")]
        return [
            segment([BEGINS + (h + 24) * HOUR for h in part], [self.used[h] for h in part], allocated, reason)
            for part, allocated, reason in parts
            if part
        ]

    def decide(self) -> None:
        now = BEGINS + (len(self.used) - 1) * HOUR
        ruling = ruled(self.settings, self.segments(), self.standing, now=now)
        self.standing = self.standing.after(ruling.decision)
        self.rulings.append(ruling)


@pytest.fixture(scope="module")
def year() -> Year:
    """Busy, then servers that nobody planned and that no rung can stop, then a supplement and rest."""
    made = Year(settings(), granted=220_000)
    for hour in range(364 * 24):
        day = hour // 24
        if made.standing.state.rung == Rung.SHUTDOWN and made.supplement_day is None:
            made.supplement_day = day + 2
        rest = made.supplement_day is not None and day >= made.supplement_day
        made.burn(0.02 if rest else 0.7, 60.0 if day >= 60 and not rest else 0.0)
        if hour >= 72 and hour % 12 == 0:
            made.decide()
    return made


def test_every_rung_is_climbed_in_order_and_left_in_order(year: Year) -> None:
    stood = [ruling.before for ruling in year.rulings] + [year.standing.state.rung]
    path = [rung for rung, _ in itertools.groupby(stood)]
    up = list(Rung)
    assert list(dict.fromkeys(path)) == up, "a rung was left out on the way up"
    top = path.index(Rung.SHUTDOWN)
    assert path[top:] == up[::-1], "a rung was left out on the way down"


def test_each_rung_has_its_dwell_and_its_words(year: Year) -> None:
    for before, after in itertools.pairwise(year.standing.states):
        stood = after.since - before.since
        hard = after.rung >= Rung.NO_NEW_SERVERS
        assert (
            before.since == 0 or hard or stood >= (CLIMB_DWELL if after.rung > before.rung else LEAVE_DWELL)
        )
    for ruling in year.rulings:
        line = ruling.as_json()
        assert line["why"] and line["lifts"]
        assert line["stale"] is None


def test_the_reserve_is_left(year: Year) -> None:
    assert year.used[-1] <= 2 * year.granted - 1000


def test_hours_without_a_figure_count_at_the_ceiling() -> None:
    """A day at 8 fixed + 8 * 12 SU/h, and the floor of 20 SU/h to the end."""
    times = [BEGINS + day * DAY for day in (1, 2, 3)]
    found = ruled(settings(), [segment(times, [0, 480, 960], 300_000)], now=times[-1])
    assert found.reading is not None
    hours = (ENDS - times[-1]) / HOUR
    assert found.reading.hours_left == hours
    assert found.reading.spendable == pytest.approx(300_000 - 1000 - 960 - 24 * 104 - 20 * hours)
    assert found.reading.ceiling_above_floor == 84
    # The same figure told again six hours later is no news.
    again = ruled(
        settings(),
        [segment([*times, times[-1] + 6 * HOUR], [0, 480, 960, 960], 300_000)],
        now=times[-1] + 6 * HOUR,
    )
    assert again.reading is not None
    assert found.reading.spendable - again.reading.spendable == pytest.approx(6 * (104 - 20))


def test_what_was_burnt_under_lower_ceilings_is_no_measure_of_what_users_want() -> None:
    """All pools at their ceilings of a rung, for weeks: without the rung they would want more."""
    times = [BEGINS + day * DAY for day in range(1, 40)]
    since = BEGINS - DAY
    found = settings()
    low = rungs.pools(found, Rung.LOWER_CEILINGS)
    burn = FIXED + sum(RATE[name] * pool.max for name, pool in low.items())
    segments = [segment(times, [burn * 24 * day for day in range(39)], 900_000)]
    knows = Standing(
        states=(START.state, type(START.state)(rung=Rung.LOWER_CEILINGS, since=since)), why="", lifts=""
    )
    with_rung, without = (ruled(found, segments, who, now=times[-1]).reading for who in (knows, START))
    assert with_rung is not None
    assert without is not None
    assert with_rung.expected > 1.1 * without.expected


@pytest.mark.parametrize(
    ("days_later", "words"),
    [(3, "the newest figure is 72 h old"), (400, "is over since 2026-01-01")],
)
def test_no_rung_is_left_on_old_figures(days_later: int, words: str) -> None:
    times = [BEGINS + day * DAY for day in range(1, 30)]
    calm = [segment(times, [480.0 * day for day in range(29)], 900_000)]
    stood = Standing(
        states=(START.state, type(START.state)(rung=Rung.HIGH_CLOSED, since=BEGINS)), why="", lifts=""
    )
    fresh = ruled(settings(), calm, stood, now=times[-1])
    assert fresh.decision.state.rung == Rung.LOWER_CEILINGS
    old = ruled(settings(), calm, stood, now=times[-1] + days_later * DAY)
    assert old.decision.state.rung == Rung.HIGH_CLOSED
    assert words in str(old.as_json()["why"])
    failed = ruled(settings(), calm, stood, now=times[-1], failed="this run could not fetch figures")
    assert failed.decision.state.rung == Rung.HIGH_CLOSED
    assert "this run could not fetch figures" in failed.decision.why


def test_without_any_figure_the_rung_stays() -> None:
    found = ruled(settings(), [], START, now=BEGINS)
    assert found.decision.state == START.state
    assert found.decision.why == "it stays where it was, since the ledger has no figure"


def test_a_pinned_rung_needs_no_figures() -> None:
    found = ruled(settings(rung="no-new-servers"), [], START, now=BEGINS)
    assert found.decision.state.rung == Rung.NO_NEW_SERVERS


def test_a_resource_that_nothing_burns_is_told() -> None:
    gpu = Segment(
        resource="jetstream2-gpu.indiana.xsede.org", reason="first", starts_at=BEGINS, ends_at=ENDS,
        allocated=1000, times=np.array([BEGINS + DAY]), used=np.array([1.0]),
    )  # fmt: skip
    plain = settings(resource=CPU)
    known, _ = known_of(plain, set(), now=BEGINS + DAY)
    with pytest.raises(AllocationError, match=r"gateway:budget\.resource"):
        rule(plain, [gpu], known, fixed_nodes(plain), START, now=BEGINS + DAY)
