"""Days out of figures: late, in steps, with gaps, across segments."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import daily
from allocation.times import DAY, HOUR
from tests.unit.allocation.histories import MONDAY, burning, hourly, segment


def burn_of(known: daily.Days) -> list[float]:
    return [round(float(value), 6) for value in known.burn]


@given(st.lists(st.floats(0.1, 500), min_size=2, max_size=40))
def test_midnights_give_back_each_day(days: list[float]) -> None:
    found = daily.days(daily.chains([burning(days)], 0))
    assert found.burn == pytest.approx(days, rel=1e-6)
    assert found.day[0] == MONDAY // DAY


@given(st.lists(st.floats(0, 500), min_size=2, max_size=40))
def test_no_use_is_lost_or_made(days: list[float]) -> None:
    found = daily.days(daily.chains([burning(days)], 0))
    known = daily.curve(burning(days), 0)
    whole = [day for day in found.day if known.times[0] <= day * DAY and (day + 1) * DAY <= known.times[-1]]
    assert len(whole) == len(found.day)
    assert float(found.burn.sum()) * 24 <= sum(days) * 24 * (1 + 1e-9) + 1e-6


def test_a_figure_that_repeats_itself_was_true_when_it_first_appeared() -> None:
    # Fetched each hour, reported once a day at 6:00: ten SU/h throughout.
    hours = np.arange(24 * 10)
    figures = np.floor((hours + 18) / 24) * 240.0
    found = daily.days(daily.chains([hourly(list(figures))], 0))
    assert burn_of(found)[1:] == [10.0] * (len(found.burn) - 1)


def test_lag_moves_the_use_back_to_when_it_happened() -> None:
    known = daily.curve(burning([5.0, 5.0, 50.0]), 18 * HOUR)
    assert known.times[0] == MONDAY - 18 * HOUR
    assert known.times[-1] == MONDAY + 3 * DAY - 18 * HOUR


def test_a_figure_that_stays_has_stopped() -> None:
    still = segment([0.0, 240.0, 480.0, 480.0, 480.0, 480.0, 480.0, 480.0])
    assert burn_of(daily.days(daily.chains([still], 0))) == [10.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_a_figure_that_only_pauses_has_not() -> None:
    waiting = segment([0.0, 240.0, 480.0, 480.0])
    known = daily.curve(waiting, 0)
    assert float(known.times[-1]) == MONDAY + 2 * DAY


def test_a_gap_is_bridged_evenly() -> None:
    whole = burning([10.0] * 10)
    holed = dataclasses.replace(
        whole, times=np.delete(whole.times, slice(3, 7)), used=np.delete(whole.used, slice(3, 7))
    )
    assert burn_of(daily.days(daily.chains([holed], 0))) == [10.0] * 10


def test_usage_counts_on_over_a_supplement_only() -> None:
    first = burning([10.0] * 3)
    supplement = dataclasses.replace(
        burning([20.0] * 3, begins=MONDAY + 3 * DAY, before=720.0), reason="supplement"
    )
    renewal = dataclasses.replace(burning([30.0] * 3, begins=MONDAY + 6 * DAY), reason="renewal")
    curves = daily.chains([first, supplement, renewal], 0)
    assert len(curves) == 2
    assert burn_of(daily.days(curves)) == [10.0] * 3 + [20.0] * 3 + [30.0] * 3


def test_less_than_a_day_is_no_day() -> None:
    assert len(daily.days(daily.chains([hourly([0.0, 10.0, 20.0])], 0)).day) == 0
