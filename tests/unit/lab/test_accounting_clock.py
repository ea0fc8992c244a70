"""The accounting's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.accounting.clock import LATEST, parse_duration, real_clock
from lab.errors import LabError

NOW = 1_800_000_000.0


def test_shows_the_real_time_at_first() -> None:
    assert real_clock(NOW).at(NOW + 5) == NOW + 5


def test_a_jump_puts_it_ahead_and_it_goes_on_as_fast() -> None:
    clock = real_clock(NOW).sped(10, real=NOW).jumped(3600, real=NOW + 2)
    assert clock.at(NOW + 2) == NOW + 20 + 3600
    assert clock.at(NOW + 3) == NOW + 30 + 3600


def test_stands_still_at_speed_0() -> None:
    clock = real_clock(NOW).sped(0, real=NOW + 7)
    assert clock.at(NOW + 7) == clock.at(NOW + 1e6) == NOW + 7


def test_never_goes_back_with_the_real_clock() -> None:
    clock = real_clock(NOW).jumped(60, real=NOW)
    assert clock.at(NOW - 1000) == NOW + 60


def test_stops_where_calendars_end() -> None:
    assert real_clock(NOW).sped(1e6, real=NOW).at(NOW + 1e9) == LATEST


@given(
    st.lists(st.tuples(st.sampled_from(["jump", "speed"]), st.floats(0, 1e4), st.floats(0, 100)), max_size=20)
)
def test_never_goes_back_by_commands(steps: list[tuple[str, float, float]]) -> None:
    clock, real = real_clock(NOW), NOW
    for kind, value, wait in steps:
        before = clock.at(real)
        clock = clock.jumped(value, real=real) if kind == "jump" else clock.sped(value, real=real)
        assert clock.at(real) >= before
        real += wait
        assert clock.at(real) >= before


@pytest.mark.parametrize(
    ("text", "seconds"), [("60d", 5184000), ("12h", 43200), ("1.5h", 5400), ("30m", 1800), ("90s", 90)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "-1d", "0d", "1w", "d", "1d2h", "1e3d", "99999999d", "１d "])
def test_no_durations(text: str) -> None:
    with pytest.raises(LabError, match="such as 60d"):
        parse_duration(text)
