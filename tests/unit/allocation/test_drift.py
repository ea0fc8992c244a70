"""Reported use against computed burn: the days' ratio, and the lag, found in histories that are made up."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from allocation import drift, times
from allocation.history import Reason, Segment
from allocation.rates import CPU, GPU
from allocation.samples import Sample
from allocation.times import DAY, HOUR

BEGIN = times.parse_time("2026-02-01")
LEVELS = (16.0, 16.0, 48.0, 16.0, 80.0, 80.0, 32.0, 16.0, 96.0, 64.0, 16.0)
"""SU/h on one day after the other, again and again."""


def burnt(at: NDArray[np.float64], levels: Sequence[float] = LEVELS) -> NDArray[np.float64]:
    """SU burnt since ten days before BEGIN by servers that change at midnight."""
    days = np.arange(-10, 400)
    burns = np.array([levels[day % len(levels)] for day in days[:-1]])
    sums = np.concatenate([[0.0], np.cumsum(24 * burns)])
    found: NDArray[np.float64] = np.interp(at, BEGIN + days * DAY, sums)
    return found


def history(
    *,
    lag_h: float,
    days: int = 40,
    every_h: float = 24,
    factor: float = 1.0,
    levels: Sequence[float] = LEVELS,
) -> tuple[Segment, list[Sample]]:
    """A segment of figures that trail, and samples of the burn at the same moments."""
    moments = BEGIN + 9.3 * HOUR + np.arange(0, days * 24, every_h) * HOUR
    before = burnt(moments[:1] - lag_h * HOUR, levels)
    segment = Segment(
        resource=CPU,
        reason="first",
        starts_at=BEGIN,
        ends_at=BEGIN + 365 * DAY,
        allocated=1e6,
        times=moments,
        used=factor * (burnt(moments - lag_h * HOUR, levels) - before),
    )
    return segment, samples(moments, levels)


def samples(moments: NDArray[np.float64], levels: Sequence[float] = LEVELS) -> list[Sample]:
    return [
        Sample(
            timestamp=moment,
            resource=CPU,
            su_per_hour=levels[int((moment - BEGIN) // DAY) % len(levels)],
            servers=2,
            unknown=0,
        )
        for moment in moments.tolist()
    ]


def numbered(days: Iterable[date]) -> list[int]:
    """Days as counted from the first of the history."""
    return [(day - times.utc(BEGIN).date()).days for day in days]


def cut(segment: Segment, at: int, *, reason: Reason, less: float = 0.0) -> list[Segment]:
    """Two segments of one, of which the second counts from less."""
    first = dataclasses.replace(segment, times=segment.times[:at], used=segment.used[:at])
    second = dataclasses.replace(
        segment, reason=reason, times=segment.times[at:], used=segment.used[at:] - less
    )
    return [first, second]


@pytest.mark.parametrize("lag_h", [0, 6, 12, 18, 24, 30])
def test_the_lag_is_found_in_hourly_figures(lag_h: float) -> None:
    segment, computed = history(lag_h=lag_h, every_h=1)
    found = drift.agreement([segment], computed)
    assert found.lag_hours == pytest.approx(lag_h, abs=1)
    assert found.ratio == pytest.approx(1, abs=0.01)
    for day in found.days:
        assert day.ratio == pytest.approx(1, rel=0.05)
    assert f"trail behind the use by {found.lag_hours:g} h" in found.sentence


@pytest.mark.parametrize("lag_h", [12, 18, 24])
def test_the_lag_is_found_roughly_in_daily_figures(lag_h: float) -> None:
    segment, computed = history(lag_h=lag_h)
    assert drift.agreement([segment], computed).lag_hours == pytest.approx(lag_h, abs=6)


def test_the_lag_is_found_in_figures_that_rise_once_a_day() -> None:
    """Counted at 02:00 for all until then, and fetched every hour: 0 to 24 hours old."""
    segment, computed = history(lag_h=0, every_h=1)
    counted = (segment.times - BEGIN - 2 * HOUR) // DAY * DAY + BEGIN + 2 * HOUR
    segment = dataclasses.replace(segment, used=burnt(counted) - burnt(counted[:1]))
    found = drift.agreement([segment], computed).lag_hours
    assert found is not None
    assert 0 <= found <= 24


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_rate_shows_in_the_ratio_and_does_not_pass_for_a_lag(factor: float) -> None:
    segment, computed = history(lag_h=18, every_h=1, factor=factor)
    found = drift.agreement([segment], computed)
    assert found.ratio == pytest.approx(factor, rel=0.02)
    assert found.lag_hours == pytest.approx(18, abs=1)
    assert f"is {found.ratio:.2f} times the computed" in found.sentence


def test_a_constant_burn_tells_no_lag_but_its_ratio() -> None:
    segment, computed = history(lag_h=18, levels=(24.0,))
    found = drift.agreement([segment], computed)
    assert found.lag_hours is None
    assert "hardly changed" in found.sentence
    assert found.ratio == pytest.approx(1)
    assert [day.reported for day in found.days] == pytest.approx([24 * 24.0] * len(found.days))
    assert len(found.days) == 38


def test_too_few_figures_tell_no_lag() -> None:
    segment, computed = history(lag_h=18, days=6)
    found = drift.agreement([segment], computed)
    assert found.lag_hours is None
    assert "so few" in found.sentence
    assert len(found.days) == 4


def test_figures_that_have_nothing_to_do_with_the_burn_tell_no_lag() -> None:
    segment, computed = history(lag_h=0)
    segment = dataclasses.replace(segment, used=np.zeros_like(segment.used))
    found = drift.agreement([segment], computed)
    assert found.lag_hours is None
    assert "no lag" in found.sentence
    assert found.ratio == 0


def test_a_longer_lag_than_is_tried_is_not_told_as_the_longest() -> None:
    segment, computed = history(lag_h=60, every_h=1)
    assert drift.agreement([segment], computed).lag_hours is None


def test_days_are_utc_days_in_order() -> None:
    segment, computed = history(lag_h=0, days=4)
    days = drift.agreement([segment], computed).days
    assert [day.day.isoformat() for day in days] == ["2026-02-02", "2026-02-03"]


def test_days_in_a_gap_are_left_out() -> None:
    segment, computed = history(lag_h=0)
    whole = {day.day for day in drift.agreement([segment], computed).days}
    without = {day.day for day in drift.agreement([segment], computed[:10] + computed[14:]).days}
    assert sorted(numbered(whole - without)) == [9, 10, 11, 12, 13, 14]
    gappy = dataclasses.replace(
        segment, times=np.delete(segment.times, [20, 21]), used=np.delete(segment.used, [20, 21])
    )
    without = {day.day for day in drift.agreement([gappy], computed).days}
    assert sorted(numbered(whole - without)) == [19, 20, 21, 22]


def test_use_counts_on_through_a_supplement_only() -> None:
    segment, computed = history(lag_h=0)
    whole = drift.agreement([segment], computed)
    supplied = drift.agreement(cut(segment, 15, reason="supplement"), computed)
    assert supplied == whole
    reasons: tuple[Reason, ...] = ("renewal", "reset")
    for reason in reasons:
        parts = cut(segment, 15, reason=reason, less=float(segment.used[15]))
        renewed = drift.agreement(parts, computed)
        assert len(whole.days) - len(renewed.days) == 2
        assert all(day.reported >= 0 for day in renewed.days)


def test_samples_of_other_resources_are_left_out_and_order_does_not_count() -> None:
    segment, computed = history(lag_h=18)
    others = [dataclasses.replace(sample, resource=GPU, su_per_hour=1e6) for sample in computed]
    mixed = [*reversed(computed), *others]
    assert drift.agreement([segment], mixed) == drift.agreement([segment], computed)


@pytest.mark.parametrize("kept", [0, 1])
def test_without_samples_there_is_nothing_to_compare(kept: int) -> None:
    segment, computed = history(lag_h=0)
    found = drift.agreement([segment], computed[:kept])
    assert (found.days, found.ratio, found.lag_hours) == ((), None, None)
    assert "no day yet" in found.sentence


def test_a_single_figure_is_nothing_to_compare() -> None:
    segment, computed = history(lag_h=0)
    single = dataclasses.replace(segment, times=segment.times[:1], used=segment.used[:1])
    assert drift.agreement([single], computed).days == ()


def test_a_day_on_which_nothing_was_computed_has_no_ratio() -> None:
    segment, computed = history(lag_h=0)
    still = [dataclasses.replace(sample, su_per_hour=0.0) for sample in computed]
    found = drift.agreement([segment], still)
    assert {day.ratio for day in found.days} == {None}
    assert found.ratio is None
    assert "nothing was computed" in found.sentence


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.01, 60), st.floats(0, 1000), st.floats(0, 1000)), min_size=1, max_size=30)
)
def test_whatever_the_history_nothing_breaks_and_units_hold(steps: list[tuple[float, float, float]]) -> None:
    moments = BEGIN + np.cumsum([hours for hours, _, _ in steps]) * HOUR
    used = np.cumsum([rise for _, rise, _ in steps])
    segment, _ = history(lag_h=0)
    segment = dataclasses.replace(segment, times=moments, used=used)
    computed = [
        Sample(timestamp=moment, resource=CPU, su_per_hour=rate, servers=1, unknown=0)
        for moment, (_, _, rate) in zip(moments.tolist(), steps, strict=True)
    ]
    found = drift.agreement([segment], computed)
    highest = max(rate for _, _, rate in steps)
    for day in found.days:
        assert np.isfinite([day.reported, day.computed]).all()
        assert -1e-6 <= day.computed <= 24 * highest + 1e-6
        assert -1e-6 <= day.reported <= used[-1] - used[0] + 1e-6
    assert all(before.day < after.day for before, after in itertools.pairwise(found.days))
