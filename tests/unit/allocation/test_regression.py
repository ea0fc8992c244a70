"""The regressions are statsmodels' own, to many digits."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from allocation import regression


@pytest.mark.parametrize("seed", range(20))
def test_poisson_is_the_generalized_linear_model(seed: int) -> None:
    chance = np.random.default_rng(seed)
    x = np.column_stack([np.ones(200), chance.integers(0, 2, (200, 4))]).astype(np.float64)
    y = chance.gamma(2, np.exp(x @ chance.normal(0, 1, 5))) * (chance.random(200) > 0.2)
    weight = chance.random(200)
    fit = sm.GLM(y, x, family=sm.families.Poisson(), freq_weights=weight).fit(maxiter=50, tol=1e-6)
    assert regression.poisson(x, y, weight) == pytest.approx(fit.params, rel=1e-6, abs=1e-8)


def test_poisson_of_rows_that_say_the_same_twice_predicts_the_same() -> None:
    x = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    y, weight = np.array([2.0, 5.0, 4.0]), np.array([1.0, 1.0, 3.0])
    assert np.exp(x @ regression.poisson(x, y, weight)) == pytest.approx([3.5, 5.0, 3.5])


def test_poisson_of_nothing_is_nearly_nothing() -> None:
    x = np.ones((5, 1))
    assert np.exp(x @ regression.poisson(x, np.zeros(5), np.ones(5))).max() < 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_slope_is_the_weighted_least_squares(seed: int) -> None:
    chance = np.random.default_rng(seed)
    x, weight = chance.random(100), chance.random(100)
    y = 3 * x + chance.normal(0, 1, 100)
    fit = sm.WLS(y, sm.add_constant(x), weights=weight).fit()
    assert regression.slope(x, y, weight) == pytest.approx((fit.params[1], fit.bse[1]))
