"""The verdict: what a forecast means in SU, dates and nodes."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import times
from allocation.errors import AllocationError
from allocation.forecast import Forecast
from allocation.verdict import STATUS, Verdict, as_json, verdict

NOW = times.parse_time("2026-07-01")
RATES = {"m3.quad": 4.0, "m3.medium": 8.0}


def line(
    used: float, rate: float, *, days: float = 365, band: float = 0, now: float = NOW, points: int = 2
) -> Forecast:
    """A forecast of a steady burn, in SU/h, with a band that widens to so many SU."""
    moments = np.linspace(now, now + days * times.DAY, points)
    share = np.linspace(0, 1, points)
    expected = used + rate * 24 * days * share
    return Forecast(
        model="planned",
        times=moments,
        expected=expected,
        low=np.maximum(expected - band * share, used),
        high=expected + band * share,
        fallback=None,
    )


@st.composite
def forecasts(draw: st.DrawFn) -> Forecast:
    """Any: steps of any length, flat or steep, with any band."""
    steps = draw(st.lists(st.tuples(st.floats(0.1, 2000), st.floats(0, 1e5)), min_size=1, max_size=8))
    used = draw(st.floats(0, 1e6))
    moments = NOW + np.cumsum([0, *(hours * times.HOUR for hours, _ in steps)])
    expected = used + np.cumsum([0, *(su for _, su in steps)])
    band = np.maximum.accumulate(np.linspace(0, draw(st.floats(0, 1e5)), len(moments)))
    return Forecast(
        model="linear",
        times=moments,
        expected=expected,
        low=np.maximum.accumulate(np.maximum(expected - band, used)),
        high=expected + band,
        fallback=None,
    )


budgets = st.floats(0, 2e6)


def judge(forecast: Forecast, allocated: float, reserve_su: float = 0) -> Verdict:
    return verdict(forecast, allocated=allocated, rates=RATES, reserve_su=reserve_su)


# Arithmetic


def test_a_surplus() -> None:
    found = judge(line(1000, 10, days=100, band=500), 30_000)
    assert found.su_delta == 30_000 - 1000 - 10 * 24 * 100
    assert (found.su_delta_low, found.su_delta_high) == (4500, 5500)
    assert found.burn_su_per_hour == 10
    assert found.break_even_su_per_hour == pytest.approx(29_000 / 2400)
    assert found.nodes == {"m3.quad": 0, "m3.medium": 0}
    assert (found.level, found.runs_dry_at) == ("within", None)


def test_a_deficit() -> None:
    found = judge(line(1000, 20, days=100, band=500), 25_000)
    assert found.su_delta == -24_000
    assert found.break_even_su_per_hour == 10
    assert found.nodes == {"m3.quad": -3, "m3.medium": -2}
    assert found.level == "over"
    assert found.runs_dry_at == datetime(2026, 8, 20, tzinfo=UTC)


def test_surplus_in_nodes() -> None:
    """Two m3.medium and 1 SU/h more: 17 SU/h over 100 days."""
    found = judge(line(0, 0, days=100), 17 * 2400)
    assert found.nodes == {"m3.quad": 4, "m3.medium": 2}


def test_exactly_two_nodes_are_two_whatever_floating_point_makes_of_them() -> None:
    for thousandth in range(1, 400):
        used = thousandth / 7
        budget = used + 10 * 24 * 100
        assert judge(line(used, 26, days=100), budget).nodes["m3.medium"] == -2
        assert judge(line(used, 10 - 8, days=100), budget).nodes["m3.medium"] == 1


@pytest.mark.parametrize(
    ("allocated", "level", "status"), [(100, "within", 0), (99, "warning", 3), (89, "over", 4)]
)
def test_the_level_says_how_sure_it_is(allocated: float, level: str, status: int) -> None:
    found = judge(line(0, 90 / 24, days=1, band=10), allocated)
    assert (found.level, STATUS[found.level]) == (level, status)


def test_it_runs_dry_between_two_points_of_the_forecast() -> None:
    hours = np.array([0.0, 10, 20, 30])
    used = np.array([0.0, 10, 110, 110])
    forecast = Forecast(
        model="linear", times=NOW + hours * 3600, expected=used, low=used, high=used, fallback=None
    )
    for budget, hour in [(5, 5), (10, 10), (60, 15), (109, 19.9)]:
        dry = judge(forecast, budget).runs_dry_at
        assert dry is not None
        assert dry.timestamp() == pytest.approx(NOW + hour * 3600, abs=1e-3)
    assert judge(forecast, 110).runs_dry_at is None


def test_what_is_used_up_runs_dry_now() -> None:
    found = judge(line(1000, 1), 900)
    assert found.runs_dry_at == datetime(2026, 7, 1, tzinfo=UTC)
    assert found.break_even_su_per_hour < 0


def test_a_reserve_counts_as_not_allocated() -> None:
    numbers = dataclasses.asdict(judge(line(1000, 10), 100_000, reserve_su=20_000))
    without = dataclasses.asdict(judge(line(1000, 10), 80_000))
    assert {**numbers, "sentence": ""} == {**without, "sentence": ""}


@pytest.mark.parametrize("used", [0, 10, 20])
def test_an_allocation_with_no_time_left(used: float) -> None:
    found = judge(line(used, 0, days=0), 10)
    assert found.su_delta == 10 - used
    assert (found.burn_su_per_hour, found.break_even_su_per_hour) == (0, 0)
    assert set(found.nodes.values()) == {0}
    assert found.level == ("over" if used > 10 else "warning")


def test_flavors_that_cost_nothing_are_left_out() -> None:
    assert verdict(line(0, 1), allocated=9, rates={"free": 0, "m3.tiny": 1}).nodes.keys() == {"m3.tiny"}
    assert verdict(line(0, 1), allocated=9, rates={}).nodes == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(AllocationError, match="allocated"):
        judge(line(0, 1), bad)
    with pytest.raises(AllocationError, match="reserve_su"):
        judge(line(0, 1), 10, reserve_su=bad)
    with pytest.raises(AllocationError, match="odd"):
        verdict(line(0, 1), allocated=1, rates={"odd": bad})


# Properties


@given(forecasts(), budgets, st.floats(0, 1e5))
def test_the_delta_is_the_break_even_less_the_burn_over_the_hours_left(
    forecast: Forecast, allocated: float, reserve: float
) -> None:
    found = judge(forecast, allocated, reserve)
    hours = (forecast.times[-1] - forecast.times[0]) / 3600
    wanted = (found.break_even_su_per_hour - found.burn_su_per_hour) * hours
    assert found.su_delta == pytest.approx(wanted, rel=1e-9, abs=1e-6)
    assert found.su_delta_low <= found.su_delta <= found.su_delta_high
    assert (found.runs_dry_at is None) == (found.su_delta >= 0)


@given(forecasts(), budgets, st.floats(0, 1e5), st.floats(0, 1))
def test_more_usage_never_raises_the_surplus(
    forecast: Forecast, allocated: float, more: float, by_now: float
) -> None:
    """Whether all of it is used by now or some later."""
    extra = more * np.linspace(by_now, 1, len(forecast.times))
    found, other = judge(forecast, allocated), judge(added(forecast, extra), allocated)
    assert other.su_delta <= found.su_delta
    assert other.su_delta_low <= found.su_delta_low
    assert other.su_delta_high <= found.su_delta_high
    assert all(other.nodes[flavor] <= found.nodes[flavor] for flavor in RATES)
    assert STATUS[other.level] >= STATUS[found.level]
    assert sooner(other, found)


@given(forecasts(), budgets, st.floats(0, 500))
def test_adding_a_node_never_lengthens_the_allocation(
    forecast: Forecast, allocated: float, rate: float
) -> None:
    node = rate * (forecast.times - forecast.times[0]) / 3600
    found, other = judge(forecast, allocated), judge(added(forecast, node), allocated)
    assert sooner(other, found)
    assert other.su_delta <= found.su_delta
    assert other.break_even_su_per_hour == found.break_even_su_per_hour


@given(forecasts(), budgets)
def test_the_nodes_that_fit_in_fit_and_one_more_does_not(forecast: Forecast, allocated: float) -> None:
    found = judge(forecast, allocated)
    hours = (forecast.times - forecast.times[0]) / 3600
    for flavor, count in found.nodes.items():
        cost = RATES[flavor] * float(hours[-1])
        slack = 1e-6 * max(1.0, abs(found.su_delta), cost)
        assert found.su_delta - count * cost >= -slack
        assert found.su_delta - (count + 1) * cost <= slack


@given(forecasts(), budgets, st.sampled_from([0.125, 0.5, 4.0, 1024.0]))
def test_the_unit_of_su_does_not_matter(forecast: Forecast, allocated: float, unit: float) -> None:
    scaled = dataclasses.replace(
        forecast, expected=forecast.expected * unit, low=forecast.low * unit, high=forecast.high * unit
    )
    found = judge(forecast, allocated)
    other = verdict(
        scaled, allocated=allocated * unit, rates={name: rate * unit for name, rate in RATES.items()}
    )
    assert other.su_delta == pytest.approx(found.su_delta * unit)
    assert other.burn_su_per_hour == pytest.approx(found.burn_su_per_hour * unit)
    assert other.break_even_su_per_hour == pytest.approx(found.break_even_su_per_hour * unit)
    assert (other.level, other.nodes) == (found.level, found.nodes)
    assert other.runs_dry_at == found.runs_dry_at


@given(st.floats(0, 1e5), st.floats(0, 500), st.floats(1, 500), budgets)
def test_rates_are_per_hour(used: float, rate: float, days: float, allocated: float) -> None:
    found = judge(line(used, rate, days=days), allocated)
    assert found.burn_su_per_hour == pytest.approx(rate, abs=1e-6)
    assert found.su_delta == pytest.approx(allocated - used - rate * 24 * days, abs=1e-3)


@given(forecasts(), budgets, st.integers(-(10**8), 10**8))
def test_only_the_time_from_now_counts_not_the_date(forecast: Forecast, allocated: float, shift: int) -> None:
    other = judge(dataclasses.replace(forecast, times=forecast.times + shift), allocated)
    found = judge(forecast, allocated)
    assert other.su_delta == found.su_delta
    assert other.burn_su_per_hour == pytest.approx(found.burn_su_per_hour, rel=1e-6)
    if found.runs_dry_at and other.runs_dry_at:
        apart = other.runs_dry_at.timestamp() - found.runs_dry_at.timestamp()
        assert apart == pytest.approx(shift, abs=0.01)


@given(forecasts(), budgets, st.floats(0, 1e5))
def test_every_verdict_is_json_and_a_sentence(forecast: Forecast, allocated: float, reserve: float) -> None:
    found = judge(forecast, allocated, reserve)
    again = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert again["su_delta"] == found.su_delta
    assert found.sentence.endswith(".")
    assert "nan" not in found.sentence
    assert "-0 " not in found.sentence


def added(forecast: Forecast, extra: np.ndarray) -> Forecast:
    return dataclasses.replace(
        forecast,
        expected=forecast.expected + extra,
        low=forecast.low + extra,
        high=forecast.high + extra,
    )


def sooner(one: Verdict, other: Verdict) -> bool:
    """Whether one runs dry no later than the other, but for rounding."""
    if other.runs_dry_at is None:
        return True
    assert one.runs_dry_at is not None
    return one.runs_dry_at.timestamp() <= other.runs_dry_at.timestamp() + 1e-3


# Words


@pytest.mark.parametrize(
    ("forecast", "allocated", "reserve", "sentence"),
    [
        (
            line(1000, 10, band=9000), 100_940, 0,
            "Lasts to 2027-06-30 with 12,340 SU to spare (80 %: 3,340 to 21,340).",
        ),
        (
            line(1000, 10, band=9000), 90_000, 0,
            "Lasts to 2027-06-30 with 1,400 SU to spare, but may run short (80 %: -7,600 to 10,400).",
        ),
        (
            line(1000, 10), 100_000, 2000,
            "Lasts to 2027-06-30 with 9,400 SU to spare beyond the reserve of 2,000 "
            "(80 %: 9,400 to 9,400).",
        ),
        (
            line(0, 32, days=365, band=1000), 32 * 24 * 245, 0,
            "Runs dry on 2027-03-03, 120 days early: 92,160 SU short (80 %: 91,160 to 93,160). "
            "Two m3.medium fewer would hold it.",
        ),
        (
            line(0, 8, days=10), 8 * 24 * 9, 0,
            "Runs dry on 2026-07-10, 1 day early: 192 SU short (80 %: 192 to 192). "
            "One m3.medium fewer would hold it.",
        ),
        (
            line(0, 1, days=10), 239, 0,
            "Runs dry on 2026-07-10, less than a day early: 1.0 SU short (80 %: 1.0 to 1.0). "
            "One m3.medium fewer would hold it.",
        ),
        (
            line(0, 200, days=10), 100 * 240, 4800,
            "Runs into the reserve on 2026-07-05, 6 days early: 28,800 SU short (80 %: 28,800 to 28,800). "
            "15 m3.medium fewer would hold it.",
        ),
        (
            line(1000, 8, days=10), 900, 0,
            "All SU are used up, and 100 SU more; 2,020 SU short (80 %: 2,020 to 2,020) by 2026-07-10.",
        ),
        (
            line(1000, 8, days=10), 1000, 100,
            "All but the reserve of 100 SU is used up, and 100 SU more; "
            "2,020 SU short (80 %: 2,020 to 2,020) by 2026-07-10.",
        ),
        (line(1000, 0, days=0), 900, 0, "Has ended 100 SU short."),
        (
            line(1000, 0, days=0), 1000, 0,
            "Has ended with 0 SU to spare, which cannot be used any more; renew it.",
        ),
    ],
)  # fmt: skip
def test_it_says_so_in_words(forecast: Forecast, allocated: float, reserve: float, sentence: str) -> None:
    assert judge(forecast, allocated, reserve).sentence == sentence


def test_the_words_count_the_first_flavor_where_there_is_no_m3_medium() -> None:
    found = verdict(line(0, 64, days=10), allocated=32 * 240, rates={"g3.small": 16, "g3.large": 64})
    assert found.sentence.endswith("Two g3.small fewer would hold it.")
    none = verdict(line(0, 64, days=10), allocated=32 * 240, rates={})
    assert none.sentence.endswith("7,680).")


def test_json_has_what_cron_and_pages_need() -> None:
    found = as_json(judge(line(0, 20, days=100), 24_000))
    assert found == {
        "su_delta": -24_000.0,
        "su_delta_low": -24_000.0,
        "su_delta_high": -24_000.0,
        "runs_dry_at": "2026-08-20T00:00:00Z",
        "burn_su_per_hour": 20.0,
        "break_even_su_per_hour": 10.0,
        "nodes": {"m3.quad": -3, "m3.medium": -2},
        "level": "over",
        "sentence": "Runs dry on 2026-08-20, 50 days early: 24,000 SU short (80 %: 24,000 to 24,000). "
        "Two m3.medium fewer would hold it.",
        "fallback": None,
    }
