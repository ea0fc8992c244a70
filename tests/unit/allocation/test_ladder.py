"""The budget ladder: when a rung is climbed, when it is left, and that it never flaps."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.ladder import (
    CLIMB,
    CLIMB_DWELL,
    LEAVE,
    LEAVE_DWELL,
    Reading,
    Rung,
    State,
    decide,
    pin,
)
from allocation.times import HOUR

NOW = 1_800_000_000.0
CALM = Reading(
    now=NOW, spendable=10_000, expected=5_000, ceiling_above_floor=50, settle_hours=6, hours_left=4000
)


def state(rung: Rung, stood_hours: float) -> State:
    return State(rung=rung, since=NOW - stood_hours * HOUR)


def pressed(pressure: float, **changes: float) -> Reading:
    """A reading of some pressure."""
    return dataclasses.replace(CALM, expected=pressure * CALM.spendable, **changes)


@pytest.mark.parametrize(
    ("rung", "stood_hours", "pressure", "after"),
    [
        (Rung.NORMAL, 100, 0.99, Rung.NORMAL),
        (Rung.NORMAL, 0, 1.0, Rung.SHORTER_CULLING),
        (Rung.NORMAL, 100, 9.0, Rung.SHORTER_CULLING),
        (Rung.SHORTER_CULLING, 5.9, 9.0, Rung.SHORTER_CULLING),
        (Rung.SHORTER_CULLING, 6, 1.09, Rung.SHORTER_CULLING),
        (Rung.SHORTER_CULLING, 6, 1.1, Rung.LOWER_CEILINGS),
        (Rung.LOWER_CEILINGS, 6, 1.3, Rung.HIGH_CLOSED),
        (Rung.HIGH_CLOSED, 100, 3.9, Rung.HIGH_CLOSED),
        (Rung.HIGH_CLOSED, 6, 4.0, Rung.NO_NEW_SERVERS),
        (Rung.NO_NEW_SERVERS, 100, 99.0, Rung.NO_NEW_SERVERS),
        (Rung.SHORTER_CULLING, 100, 0.86, Rung.SHORTER_CULLING),
        (Rung.SHORTER_CULLING, 23.9, 0.1, Rung.SHORTER_CULLING),
        (Rung.SHORTER_CULLING, 24, 0.84, Rung.NORMAL),
        (Rung.HIGH_CLOSED, 24, 0.0, Rung.LOWER_CEILINGS),
        (Rung.NO_NEW_SERVERS, 24, 3.3, Rung.HIGH_CLOSED),
        (Rung.SHUTDOWN, 24, 3.3, Rung.NO_NEW_SERVERS),
        (Rung.SHUTDOWN, 24, 3.5, Rung.SHUTDOWN),
    ],
)
def test_one_rung_at_a_time_and_not_before_its_dwell(
    rung: Rung, stood_hours: float, pressure: float, after: Rung
) -> None:
    before = state(rung, stood_hours)
    decision = decide(before, pressed(pressure))
    assert decision.state.rung == after
    assert decision.state.since == (before.since if after == rung else NOW)


@pytest.mark.parametrize("rung", list(Rung))
def test_what_stopping_alone_may_take_stops_at_once(rung: Rung) -> None:
    """Two hours of 50 SU/h, whatever was decided a moment ago."""
    decision = decide(state(rung, 0), dataclasses.replace(CALM, spendable=100, expected=0))
    assert decision.state.rung == Rung.SHUTDOWN
    assert decision.why == "100 SU may still go to users, and stopping alone may take 100"


@pytest.mark.parametrize("rung", [rung for rung in Rung if rung < Rung.NO_NEW_SERVERS])
def test_what_running_servers_may_take_starts_no_more_at_once(rung: Rung) -> None:
    decision = decide(state(rung, 0), dataclasses.replace(CALM, spendable=350, expected=0))
    assert decision.state.rung == Rung.NO_NEW_SERVERS
    assert decision.why == "350 SU may still go to users, and servers that run may take 350"


@pytest.mark.parametrize("rung", [rung for rung in Rung if rung < Rung.SHUTDOWN])
def test_where_servers_end_sooner_than_a_shutdown_takes_the_shutdown_comes_first(rung: Rung) -> None:
    """An hour of 50 SU/h for the servers, two for the orderly shutdown: what is left is not enough for it."""
    decision = decide(state(rung, 0), dataclasses.replace(CALM, spendable=60, expected=0, settle_hours=0))
    assert decision.state.rung == Rung.SHUTDOWN
    assert decision.why == "60 SU may still go to users, and stopping alone may take 100"


def test_near_the_end_little_is_enough() -> None:
    """What is left cannot be burnt in the hour that is left."""
    last_hour = dataclasses.replace(CALM, spendable=51, expected=10, hours_left=1)
    assert decide(state(Rung.NORMAL, 100), last_hour).state.rung == Rung.NORMAL


def test_no_new_servers_is_kept_until_twice_their_need_is_there() -> None:
    calm = dataclasses.replace(CALM, expected=0)
    before = state(Rung.NO_NEW_SERVERS, 100)
    assert decide(before, dataclasses.replace(calm, spendable=700)).state.rung == Rung.NO_NEW_SERVERS
    assert decide(before, dataclasses.replace(calm, spendable=701)).state.rung == Rung.HIGH_CLOSED


def test_no_rung_is_left_on_stale_figures_but_one_may_be_climbed() -> None:
    before = state(Rung.HIGH_CLOSED, 100)
    kept = decide(before, pressed(0.1), stale="the newest figure is 60 h old")
    assert kept.state == before
    assert kept.why.endswith("no rung is left while the newest figure is 60 h old")
    assert decide(before, pressed(5), stale="old").state.rung == Rung.NO_NEW_SERVERS
    assert decide(before, dataclasses.replace(CALM, spendable=0), stale="old").state.rung == Rung.SHUTDOWN


def test_a_pinned_rung_holds_and_keeps_its_time() -> None:
    pinned = pin(state(Rung.NORMAL, 5), Rung.HIGH_CLOSED, NOW)
    assert pinned.state == State(rung=Rung.HIGH_CLOSED, since=NOW)
    assert pin(pinned.state, Rung.HIGH_CLOSED, NOW + HOUR).state == pinned.state
    assert "gateway:budget.rung" in pinned.why
    assert "gateway:budget.rung" in pinned.lifts


def test_the_words_say_why_and_what_would_lift_it() -> None:
    decision = decide(state(Rung.NORMAL, 100), pressed(1.2))
    assert decision.why == "10,000 SU may still go to users, and they are expected to take 12,000"
    assert decision.lifts == (
        "an expected use below 85% of what may be spent (now 120%), not before 2027-01-16 08:00 UTC"
    )
    assert decide(state(Rung.NORMAL, 1), CALM).lifts == "nothing to lift"
    waits = decide(state(Rung.SHORTER_CULLING, 1), pressed(1.2))
    assert waits.why.endswith("the next rung waits to see what this one does")
    kept = decide(state(Rung.SHORTER_CULLING, 1), pressed(0.2))
    assert kept.why.endswith("a rung is kept for a day at least")
    hard = decide(state(Rung.NO_NEW_SERVERS, 1), pressed(5))
    assert hard.lifts.endswith(", and 700 SU to spend")


readings = st.builds(
    Reading,
    now=st.just(NOW),
    spendable=st.floats(-1e5, 1e6),
    expected=st.floats(0, 1e6),
    ceiling_above_floor=st.floats(0, 1000),
    settle_hours=st.floats(0, 48),
    hours_left=st.floats(0, 9000),
)


@given(st.lists(st.tuples(readings, st.floats(0.1, 30)), min_size=1, max_size=80), st.sampled_from(Rung))
def test_whatever_the_figures_no_rung_is_entered_twice_in_a_day(
    told: list[tuple[Reading, float]], first: Rung
) -> None:
    now, stands = NOW, State(rung=first, since=NOW - LEAVE_DWELL)
    climbed: list[tuple[float, Rung]] = []
    for figures, hours in told:
        now += hours * HOUR
        reading = dataclasses.replace(figures, now=now)
        after = decide(stands, reading).state
        stood = now - stands.since
        if after.rung < stands.rung:
            assert after.rung == stands.rung - 1
            assert stood >= LEAVE_DWELL
            assert reading.pressure < CLIMB.get(stands.rung, CLIMB[Rung.NO_NEW_SERVERS]) * LEAVE
            assert reading.spendable > reading.last_drain
        if after.rung > stands.rung:
            climbed.append((now, after.rung))
            hard = reading.spendable <= max(reading.last_servers, reading.last_drain)
            assert hard or after.rung == stands.rung + 1
            assert hard or stands.rung == Rung.NORMAL or stood >= CLIMB_DWELL
        stands = after
    for (earlier, rung), (later, other) in itertools.combinations(climbed, 2):
        assert rung != other or later - earlier >= LEAVE_DWELL


@given(readings, st.sampled_from(Rung), st.floats(0, 100))
def test_a_decision_is_in_words_for_any_figures(reading: Reading, rung: Rung, stood: float) -> None:
    decision = decide(state(rung, stood), reading)
    for words in (decision.why, decision.lifts):
        assert words
        assert "nan" not in words
        assert "inf" not in words
