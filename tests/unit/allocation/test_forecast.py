"""The models: what they say of histories whose answer is known, and of those that tell next to nothing."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.errors import AllocationError
from allocation.forecast import MODELS, Forecast, Model, forecast
from allocation.history import Segment
from allocation.plan import Period, Plan, Pool
from allocation.times import DAY, HOUR, day_begins
from tests.unit.allocation.histories import MONDAY, burning, hourly, last, plan_of, pools, segment

WEEK = [10.0, 10.0, 10.0, 10.0, 10.0, 3.0, 3.0]


def at_end(found: Forecast) -> float:
    return float(found.expected[-1])


def made(known: Sequence[Segment] | Segment, model: Model, plan: Plan | None = None) -> Forecast:
    segments = [known] if isinstance(known, Segment) else list(known)
    return forecast(segments, now=last(segments[-1]), plan=plan or Plan(), model=model)


def sound(found: Forecast) -> bool:
    """What holds of every forecast, whatever the data."""
    lines = (found.low, found.expected, found.high)
    return (
        all(np.isfinite(line).all() for line in (found.times, *lines))
        and all((np.diff(line) >= -1e-6).all() for line in lines)
        and bool((found.low <= found.expected + 1e-6).all() and (found.expected <= found.high + 1e-6).all())
        and bool((np.diff(found.times) >= 0).all())
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_constant_burn_goes_on(model: Model) -> None:
    known = burning([16.0] * 60, lasts_days=200)
    found = made(known, model)
    assert at_end(found) == pytest.approx(200 * 24 * 16, rel=1e-3)
    assert found.times[0] == last(known)
    assert found.times[-1] == known.ends_at
    assert found.fallback is None


@pytest.mark.parametrize("model", MODELS)
def test_a_constant_burn_fetched_hourly_goes_on(model: Model) -> None:
    known = hourly(list(np.arange(24 * 40) * 16.0), lasts_days=200)
    assert at_end(made(known, model)) == pytest.approx(200 * 24 * 16, rel=1e-3)


def test_the_two_point_line_is_the_paper_s() -> None:
    # 60 days: the first 30 at 100 SU a day, the last 30 at 300.
    known = segment(list(np.concatenate([np.arange(31) * 100.0, 3000 + np.arange(1, 31) * 300.0])))
    found = made(known, "linear")
    assert at_end(found) == pytest.approx(12_000 + 300 * (365 - 60))


def test_least_squares_is_the_slope_of_all_rows() -> None:
    known = segment([0.0, 100.0, 200.0, 600.0])
    slope = np.polyfit([0, 1, 2, 3], [0, 100, 200, 600], 1)[0]
    assert at_end(made(known, "least-squares")) == pytest.approx(600 + slope * (365 - 3))


def test_weekends_are_learnt() -> None:
    known = burning(WEEK * 8, lasts_days=70)
    found = made(known, "planned")
    monday, saturday = last(known), last(known) + 5 * DAY
    on_monday = np.diff(np.interp([monday, monday + DAY], found.times, found.expected))[0]
    on_saturday = np.diff(np.interp([saturday, saturday + DAY], found.times, found.expected))[0]
    assert on_monday == pytest.approx(240, rel=0.05)
    # A little is kept of the expectation that weekdays are alike.
    assert on_saturday == pytest.approx(72, rel=0.15)


def test_a_change_of_plan_counts_on_the_day_it_is_made() -> None:
    known = burning([16.0] * 60)
    changed = last(known)
    before = pools(since=MONDAY, low=(1, 4))
    after = pools(since=changed, low=(3, 4))
    found = made(known, "planned", plan_of(before, after))
    burn = (at_end(found) - float(found.expected[0])) / (365 - 60) / 24
    assert burn == pytest.approx(8 + 3 * 8, rel=0.02)
    assert at_end(made(known, "linear")) == pytest.approx(365 * 24 * 16, rel=1e-3)


def test_a_change_to_come_counts_from_its_day() -> None:
    known = burning([16.0] * 60)
    later = last(known) + 100 * DAY
    plan = plan_of(pools(since=MONDAY, low=(1, 4)), pools(since=later, low=(3, 4)))
    found = made(known, "planned", plan)
    until = float(np.interp(later, found.times, found.expected))
    assert until == pytest.approx(160 * 24 * 16, rel=0.01)
    assert at_end(found) - until == pytest.approx((365 - 160) * 24 * 32, rel=0.02)


def test_no_forecast_leaves_what_the_plan_allows() -> None:
    rng = np.random.default_rng(3)
    known = burning(list(rng.uniform(16, 48, 60)))
    plan = plan_of(pools(since=MONDAY, low=(1, 5)))
    found = made(known, "planned", plan)
    hours = (found.times - found.times[0]) / HOUR
    gone = float(found.expected[0])
    assert (found.low >= gone + 16 * hours - 1).all()
    assert (found.high <= gone + 48 * hours + 1).all()


def test_burning_less_than_the_plan_says_is_not_hidden() -> None:
    known = burning([12.0] * 60)
    found = made(known, "planned", plan_of(pools(since=MONDAY, low=(1, 5))))
    assert at_end(found) == pytest.approx(365 * 24 * 12, rel=0.01)


@pytest.mark.parametrize(
    ("low", "burn"), [((2, 6), 12.0), ((1, 5), 4.0), ((3, 5), 20.0), ((0, 5), 0.0)], ids=str
)
def test_burning_less_than_the_plan_says_goes_on_by_as_much_under_another_plan(
    low: tuple[int, int], burn: float
) -> None:
    """12 SU/h of 24 planned: a node fewer saves its 8, a node more costs them, a higher ceiling nothing."""
    known = burning([12.0] * 60)
    plan = plan_of(pools(since=MONDAY, low=(2, 5)), pools(since=last(known), low=low))
    ahead = at_end(made(known, "planned", plan)) - float(known.used[-1])
    assert ahead / (365 - 60) / 24 == pytest.approx(burn, abs=0.05)


def test_days_before_any_plan_are_no_shortfall_of_the_first_one() -> None:
    known = burning([0.0] * 60)
    plan = plan_of(pools(since=last(known), low=(1, 5)))
    ahead = at_end(made(known, "planned", plan)) - float(known.used[-1])
    assert ahead / (365 - 60) / 24 == pytest.approx(16.0)


def test_servers_that_no_plan_knows_are_not_hidden_either() -> None:
    known = burning([24.0] * 60)
    found = made(known, "planned", plan_of(pools(since=MONDAY, low=(1, 5))))
    assert at_end(found) == pytest.approx(365 * 24 * 24, rel=0.01)


def test_a_burn_above_the_plan_s_ceiling_goes_on_and_is_doubted() -> None:
    known = burning([60.0] * 60)
    found = made(known, "planned", plan_of(pools(since=MONDAY, low=(1, 5))))
    assert at_end(found) == pytest.approx(365 * 24 * 60, rel=0.01)
    assert found.high[-1] - at_end(found) > 0.02 * (at_end(found) - known.used[-1])
    assert at_end(found) - found.low[-1] > 0.02 * (at_end(found) - known.used[-1])


def test_a_change_of_plan_moves_a_burn_above_the_ceiling_too() -> None:
    known = burning([60.0] * 60)
    plan = plan_of(pools(since=MONDAY, low=(1, 5)), pools(since=last(known), low=(0, 0)))
    burn = (at_end(made(known, "planned", plan)) - float(known.used[-1])) / (365 - 60) / 24
    assert burn == pytest.approx(60 - 40, rel=0.02)


def test_nodes_that_burn_another_resource_do_not_count() -> None:
    known = burning([16.0] * 60)
    plan = plan_of(pools(since=MONDAY, low=(1, 5)))
    stage = plan.stages[0]
    gpu = stage.model_copy(update={"pools": {**stage.pools, "gpu": Pool(flavor="g3.large", min=2, max=4)}})
    alone, beside = (made(known, "planned", it) for it in (plan, plan_of(gpu)))
    assert np.array_equal(alone.expected, beside.expected)
    assert np.array_equal(alone.high, beside.high)
    # A plan in which nothing burns a resource leaves that resource to its history.
    other = dataclasses.replace(known, resource="jetstream2-gpu.indiana.xsede.org")
    assert np.array_equal(made(other, "planned", plan).expected, made(other, "planned").expected)


TERM = Period(kind="class", first=date(2025, 9, 1), last=date(2025, 12, 12))
REST = Period(kind="break", first=date(2025, 12, 13), last=date(2026, 8, 31))


def test_a_break_is_expected_before_one_was_seen() -> None:
    known = burning([20.0] * 60)
    without = made(known, "planned")
    term = made(known, "planned", Plan(calendar=(TERM, REST)))
    assert at_end(term) < 0.6 * at_end(without)
    assert float(term.high[-1] - term.low[-1]) > 0


def test_the_operator_s_own_level_counts() -> None:
    known = burning([20.0] * 60)
    quiet = REST.model_copy(update={"level": 0.0})
    busy = REST.model_copy(update={"level": 2.0})
    in_break = day_begins(date(2025, 12, 13))
    for period, level in ((quiet, 0.0), (busy, 2.0)):
        found = made(known, "planned", Plan(calendar=(TERM, period)))
        rest = at_end(found) - float(np.interp(in_break, found.times, found.expected))
        hours = (found.times[-1] - in_break) / HOUR
        assert rest / hours == pytest.approx(20 * level, rel=0.05, abs=0.1)


COMING = Period(kind="class", first=date(2026, 1, 1), last=date(2026, 5, 31))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("calendar", [(), (COMING,)], ids=["no calendar", "a class to come"])
@pytest.mark.parametrize("used", [0.0, 500.0])
def test_an_idle_past_is_no_certain_future(model: Model, calendar: tuple[Period, ...], used: float) -> None:
    found = made(segment([used] * 60), model, Plan(calendar=calendar))
    assert at_end(found) == pytest.approx(used)
    assert float(found.high[-1]) > used + 0.005 * 100_000
    assert found.fallback is not None
    assert "used" in found.fallback


def test_pools_that_nobody_used_yet_leave_open_what_a_class_will_burn() -> None:
    known = burning([16.0] * 60)
    plan = plan_of(pools(since=MONDAY, low=(1, 5)))
    idle, coming = (
        made(known, "planned", plan.model_copy(update={"calendar": days})) for days in ((), (COMING,))
    )
    assert at_end(idle) == at_end(coming) == pytest.approx(365 * 24 * 16)
    assert at_end(coming) + 10_000 < float(coming.high[-1]) <= at_end(coming) + 305 * 24 * 32
    assert at_end(idle) + 1000 < float(idle.high[-1]) < float(coming.high[-1])
    assert idle.fallback is not None
    assert "users" in idle.fallback


def test_what_burns_in_a_break_said_to_be_idle_does_not_multiply_the_next_term() -> None:
    known = burning([20.0] * 60 + [2.0] * 84)
    idle = Period(kind="break", first=date(2025, 10, 31), last=date(2026, 1, 22), level=0)
    terms = [
        Period(kind="class", first=first, last=end)
        for first, end in ((date(2025, 9, 1), date(2025, 10, 30)), (date(2026, 1, 23), date(2026, 8, 31)))
    ]
    found = made(known, "planned", Plan(calendar=(idle, *terms)))
    burn = (at_end(found) - float(known.used[-1])) / ((365 - 144) * 24)
    assert burn == pytest.approx(20, rel=0.1)


def test_days_far_apart_tell_no_trend() -> None:
    """Two days fit any trend without an error, so that nothing holds it back, nor is its error a number."""
    early = burning([10.0], begins=MONDAY, lasts_days=60)
    late = dataclasses.replace(burning([20.0], begins=MONDAY + 120 * DAY), reason="renewal")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = made([early, late], "planned")
    assert sound(found)
    burn = (at_end(found) - float(late.used[-1])) / (364 * 24)
    assert 15 < burn < 20.1


def test_a_break_seen_before_is_remembered_over_a_renewal() -> None:
    summer = [4.0] * 30
    known = [
        burning(summer + [20.0] * 60, lasts_days=90),
        dataclasses.replace(burning([20.0] * 14, begins=MONDAY + 90 * DAY, lasts_days=120), reason="renewal"),
    ]
    calendar = (
        Period(kind="break", first=date(2025, 9, 1), last=date(2025, 9, 30)),
        Period(kind="class", first=date(2025, 10, 1), last=date(2025, 12, 31)),
        Period(kind="break", first=date(2026, 1, 1), last=date(2026, 12, 31)),
    )
    found = made(known, "planned", Plan(calendar=calendar))
    new_year = day_begins(date(2026, 1, 1))
    rest = at_end(found) - float(np.interp(new_year, found.times, found.expected))
    assert rest / ((found.times[-1] - new_year) / HOUR) == pytest.approx(4.0, rel=0.3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("known", "said"),
    [
        pytest.param(segment([500.0], starts_at=MONDAY - 10 * DAY), True, id="single row"),
        pytest.param(segment([0.0], starts_at=MONDAY), True, id="single row at the start"),
        pytest.param(segment([0.0] * 30), False, id="nothing used"),
        pytest.param(segment([700.0] * 30), False, id="flat"),
        pytest.param(segment([0.0, 100.0]), False, id="two rows"),
        pytest.param(hourly([0.0, 10.0, 20.0]), False, id="three hours"),
        pytest.param(segment([900.0, 924.0], every=60.0, starts_at=MONDAY - DAY), True, id="one minute"),
        pytest.param(burning([0.0] * 20 + [30.0]), False, id="begins to be used"),
        pytest.param(burning([30.0] + [0.0] * 20), False, id="has stopped"),
    ],
)
def test_data_that_tell_little_give_a_sound_forecast(known: Segment, said: bool, model: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = made(known, model)
    assert sound(found)
    if said:
        assert found.fallback


@pytest.mark.parametrize("model", MODELS)
def test_a_single_row_goes_on_as_since_the_start(model: Model) -> None:
    known = segment([2400.0], starts_at=MONDAY - 10 * DAY, lasts_days=100)
    assert at_end(made(known, model)) == pytest.approx(24_000)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rows", [1, 2])
def test_the_first_rows_after_a_reset_go_on_as_since_the_reset(model: Model, rows: int) -> None:
    """Not as since the allocation's first day, when another count began."""
    before = segment([48_000.0], begins=MONDAY + 200 * DAY, starts_at=MONDAY)
    after = segment([240.0] * rows, every=60.0, begins=MONDAY + 201 * DAY, starts_at=MONDAY, reason="reset")
    found = made([before, after], model)
    assert at_end(found) == pytest.approx(240 + (365 - 201) * 240, rel=0.01)
    assert found.fallback is not None
    assert "reset" in found.fallback


@pytest.mark.parametrize("model", MODELS)
def test_two_rows_a_minute_apart_tell_no_burn(model: Model) -> None:
    known = segment([2400.0, 2424.0], every=60.0, starts_at=MONDAY - 10 * DAY, lasts_days=100)
    assert at_end(made(known, model)) == pytest.approx(24_240, rel=0.01)


def test_a_gap_without_figures_is_no_sign_of_bad_forecasts() -> None:
    whole = burning([16.0] * 150)
    gap = np.r_[0:31, 120:151]
    known = dataclasses.replace(whole, times=whole.times[gap], used=whole.used[gap])
    for model in MODELS:
        assert made(known, model).high[-1] <= made(whole, model).high[-1] * 1.02


@pytest.mark.parametrize("model", ["linear", "least-squares"])
@pytest.mark.parametrize(
    ("kept", "days"), [(slice(0, 12), "11"), ([0, 100, 149], "49"), (slice(100, 150), None)], ids=str
)
def test_a_line_of_other_than_a_month_says_so(
    model: Model, kept: slice | list[int], days: str | None
) -> None:
    """Too short a history, and one with a gap."""
    whole = burning([16.0] * 150)
    known = dataclasses.replace(whole, times=whole.times[kept], used=whole.used[kept])
    found = made(known, model)
    assert at_end(found) == pytest.approx(365 * 24 * 16)
    assert found.fallback == (
        None if days is None else f"no figure of 30 days before: the line is that of {days} days"
    )


def test_a_single_row_with_a_plan_takes_the_plan_s_floor() -> None:
    known = segment([2400.0], starts_at=MONDAY - 10 * DAY, lasts_days=100)
    found = made(known, "planned", plan_of(pools(since=MONDAY - 10 * DAY)))
    assert at_end(found) == pytest.approx(2400 + 90 * 24 * 16)
    assert float(found.high[-1]) > at_end(found)
    assert found.fallback is not None
    assert "floor" in found.fallback


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("days", [[10.0] * 60, list(range(1, 120))], ids=["even", "with a trend"])
def test_an_allocation_that_is_over_has_no_future(model: Model, days: list[float]) -> None:
    known = burning(days, lasts_days=30)
    found = made(known, model)
    assert sound(found)
    assert at_end(found) == pytest.approx(24 * sum(days))


@pytest.mark.parametrize("model", MODELS)
def test_rows_from_after_now_are_not_known(model: Model) -> None:
    known = burning([10.0] * 30 + [90.0] * 30)
    now = MONDAY + 30 * DAY
    early = forecast([known], now=now, plan=Plan(), model=model)
    cut = burning([10.0] * 30)
    assert early.expected == pytest.approx(forecast([cut], now=now, plan=Plan(), model=model).expected)


@pytest.mark.parametrize("model", MODELS)
def test_old_figures_are_brought_up_to_now(model: Model) -> None:
    known = burning([10.0] * 60)
    found = forecast([known], now=last(known) + 5 * DAY, plan=Plan(), model=model)
    assert float(found.expected[0]) == pytest.approx(65 * 240, rel=0.01)


def test_nothing_before_now_is_told() -> None:
    with pytest.raises(AllocationError, match="no figure from before"):
        forecast([burning([1.0])], now=MONDAY - DAY, plan=Plan(), model="planned")


histories = st.lists(st.floats(0, 200), min_size=1, max_size=50)


@settings(max_examples=60, deadline=None)
@given(histories, st.sampled_from(MODELS), st.booleans(), st.floats(0, 30))
def test_every_forecast_is_sound(days: list[float], model: Model, planned: bool, lag: float) -> None:
    stages = plan_of(pools(since=MONDAY + 10 * DAY), pools(since=MONDAY + 40 * DAY, low=(2, 3))).stages
    plan = Plan(stages=stages if planned else (), calendar=(TERM, REST), reporting_lag_hours=lag)
    assert sound(made(burning(days, lasts_days=300), model, plan))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(1, 100), min_size=3, max_size=60),
    st.integers(0, 58),
    st.floats(0, 50),
    st.sampled_from(("linear", "least-squares")),
)
def test_more_usage_from_a_day_on_never_lowers_a_line(
    days: list[float], since: int, more: float, model: Model
) -> None:
    raised = [burn + (more if index >= since else 0) for index, burn in enumerate(days)]
    assert at_end(made(burning(raised), model)) >= at_end(made(burning(days), model)) - 1e-6


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1, 100), min_size=3, max_size=60), st.floats(1, 4), st.booleans())
def test_more_usage_every_day_never_lowers_the_planned_model(
    days: list[float], factor: float, planned: bool
) -> None:
    plan = plan_of(pools(since=MONDAY, low=(1, 10))) if planned else Plan()
    raised = [burn * factor for burn in days]
    less, more = (made(burning(burns), "planned", plan) for burns in (days, raised))
    assert at_end(more) >= at_end(less) - 1e-6 * at_end(less)


def test_more_use_long_ago_is_no_trend_that_pays_for_it() -> None:
    less, more = (made(burning([early] * 30 + [20.0] * 90), "planned") for early in (20.0, 25.0))
    assert at_end(more) - at_end(less) > 0.25 * 30 * 24 * 5


def test_more_use_on_a_single_day_long_ago_is_no_other_pattern_that_pays_for_it() -> None:
    """The trend of the rise and the pattern of the weekday, both at their worst."""
    days = [1.0] * 53 + [1 + step * 2 / 15 for step in range(1, 54)]
    less, more = (made(burning([first, *days[1:]]), "planned") for first in (1.0, 2.0))
    assert at_end(more) - at_end(less) > 0.1 * 24


@st.composite
def wavering_histories(draw: st.DrawFn) -> list[float]:
    """SU/h on each of 7 to 250 days: rising and falling, with weekends, and scattered."""
    count = draw(st.integers(7, 250))
    knots = draw(st.lists(st.floats(1, 100), min_size=2, max_size=6))
    weekend, scatter = draw(st.floats(0.05, 1)), draw(st.floats(0, 0.5))
    day = np.arange(count)
    burn = np.interp(day, np.linspace(0, count - 1, len(knots)), knots) * np.where(day % 7 > 4, weekend, 1)
    chance = np.random.default_rng(draw(st.integers(0, 1000)))
    return list(burn * chance.uniform(1 - scatter, 1 + scatter, count))


@settings(max_examples=40, deadline=None)
@given(wavering_histories(), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 200))
def test_more_usage_on_any_days_of_the_past_never_raises_the_surplus(
    days: list[float], since: float, until: float, more: float
) -> None:
    first, last_one = sorted(int(part * (len(days) - 1)) for part in (since, until))
    raised = [burn + (more if first <= index <= last_one else 0) for index, burn in enumerate(days)]
    less, larger = (made(burning(burns), "planned") for burns in (days, raised))
    assert at_end(larger) >= at_end(less)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(16, 80), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(0, 5),
    st.integers(0, 3),
)
def test_a_node_more_never_burns_less(days: list[float], least: int, span: int, more: int) -> None:
    known = burning(days)
    before = pools(since=MONDAY, low=(1, 10))
    change = last(known)
    ends = [
        at_end(made(known, "planned", plan_of(before, pools(since=change, low=(floor, least + span + more)))))
        for floor in range(least, least + more + 1)
    ]
    assert all(after >= first - 1e-6 for first, after in itertools.pairwise(ends))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1, 100), min_size=1, max_size=60), st.floats(0.5, 20), st.sampled_from(MODELS))
def test_twice_the_burn_is_twice_the_forecast(days: list[float], factor: float, model: Model) -> None:
    single = made(burning(days), model)
    scaled = made(burning([burn * factor for burn in days]), model)
    assert scaled.expected == pytest.approx(single.expected * factor, rel=1e-4)
