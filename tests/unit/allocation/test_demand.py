"""What a day would have burnt under other pools: the formula, its inverse, and what it must never say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocation.demand import UNBOUNDED, Bounds, mean_demand, pool_burn, restated

floors = st.floats(0, 60)
spans = st.floats(1, 300)
demands = st.floats(0.01, 150)


def bounds_of(floor: float, span: float, fixed: float = 0.0) -> Bounds:
    return Bounds(fixed=fixed, floor=floor, ceiling=floor + span)


def one(value: float) -> np.ndarray:
    return np.array([value])


def test_the_formula_is_the_mean_of_a_clamped_exponential() -> None:
    drawn = np.random.default_rng(1).exponential(20.0, 400_000)
    expected = float(np.clip(drawn, 8.0, 40.0).mean())
    assert float(pool_burn(one(20.0), Bounds(floor=8, ceiling=40))[0]) == pytest.approx(expected, rel=0.005)


@given(demands, floors, spans)
def test_burn_keeps_within_its_bounds(mean: float, floor: float, span: float) -> None:
    burn = float(pool_burn(one(mean), bounds_of(floor, span))[0])
    assert floor - 1e-9 <= burn <= floor + span + 1e-9


@given(demands, floors, spans)
def test_demand_is_found_again(mean: float, floor: float, span: float) -> None:
    bounds = bounds_of(floor, span)
    assume(mean < 2 * bounds.ceiling)
    burn = pool_burn(one(mean), bounds)
    assume(burn[0] > floor + 1e-6)
    again = pool_burn(mean_demand(burn, bounds), bounds)
    assert float(again[0]) == pytest.approx(float(burn[0]), rel=1e-6, abs=1e-6)


@given(st.floats(0, 400), floors, spans)
def test_the_same_plan_changes_nothing(burn: float, floor: float, span: float) -> None:
    bounds = bounds_of(floor, span)
    assert float(restated(one(burn), bounds, bounds)[0]) == burn


bounds = st.builds(bounds_of, floors, spans)


@given(st.floats(0, 300), bounds, bounds, st.floats(0.1, 50))
def test_more_burn_stays_more(burn: float, seen: Bounds, wanted: Bounds, more: float) -> None:
    both = restated(np.array([burn, burn + more]), seen, wanted)
    assert both[1] >= both[0] - 1e-6


@given(st.floats(0, 300), floors, spans, floors, st.floats(0.1, 30))
def test_a_higher_floor_never_burns_less(
    burn: float, floor: float, span: float, other: float, more: float
) -> None:
    seen = bounds_of(floor, span)
    low = restated(one(burn), seen, Bounds(floor=other, ceiling=other + 500))
    high = restated(one(burn), seen, Bounds(floor=other + more, ceiling=other + 500))
    assert high[0] >= low[0] - 1e-6


@given(st.floats(0, 300), floors, spans)
def test_without_bounds_all_burn_is_demand(burn: float, floor: float, span: float) -> None:
    assert float(restated(one(burn), UNBOUNDED, UNBOUNDED)[0]) == burn
    assert math.isfinite(float(restated(one(burn), UNBOUNDED, bounds_of(floor, span))[0]))


def test_fixed_nodes_are_no_demand() -> None:
    seen = Bounds(fixed=8, floor=8, ceiling=80)
    assert float(restated(one(16.0), seen, Bounds(fixed=24, floor=8, ceiling=80))[0]) == pytest.approx(32.0)


def test_what_was_missing_from_the_floor_is_missing_under_other_bounds_too() -> None:
    seen = Bounds(fixed=8, floor=16, ceiling=40)
    assert restated(one(12.0), seen, Bounds(fixed=8, floor=8, ceiling=40))[0] == pytest.approx(4.0)
    assert restated(one(12.0), seen, Bounds(fixed=8, floor=16, ceiling=48))[0] == pytest.approx(12.0)
