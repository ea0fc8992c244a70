"""The two regressions that the planned model rests on. Pure.

statsmodels has both, and tests hold these to it; but importing it takes longer than everything else that a
preview does to show a price.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ITERATIONS = 50
TOLERANCE = 1e-6
_LEAST = float(np.finfo(np.float64).eps)


def poisson(x: Array, y: Array, weight: Array) -> Array:
    """Coefficients of a Poisson regression with logarithmic link, by iteratively reweighted least squares
    (McCullagh & Nelder, Generalized Linear Models, 2.5).

    Args:
        x: shape (n, k), the regressors.
        y: shape (n,), from 0 up.
        weight: shape (n,), how often each row counts.
    """
    mean = np.maximum((y + y.mean()) / 2, _LEAST)
    predictor = np.log(mean)
    deviance = _deviance(y, mean, weight)
    coefficients = np.zeros(x.shape[1])
    for _ in range(ITERATIONS):
        root = np.sqrt(weight * mean)
        working = predictor + (y - mean) / mean
        coefficients = np.linalg.lstsq(x * root[:, None], working * root, rcond=None)[0]
        predictor = x @ coefficients
        mean = np.maximum(np.exp(predictor), _LEAST)
        before, deviance = deviance, _deviance(y, mean, weight)
        if abs(deviance - before) <= TOLERANCE:
            break
    return np.asarray(coefficients, dtype=np.float64)


def slope(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Slope of the weighted least-squares line, and its standard error.

    Args:
        x, y: shape (n,), n ≥ 3, not all x alike.
        weight: shape (n,), inverse to each row's variance.
    """
    centre = float(np.average(x, weights=weight))
    spread = float((weight * (x - centre) ** 2).sum())
    found = float((weight * (x - centre) * y).sum()) / spread
    rest = y - np.average(y, weights=weight) - found * (x - centre)
    return found, math.sqrt(float((weight * rest**2).sum()) / (len(x) - 2) / spread)


def _deviance(y: Array, mean: Array, weight: Array) -> float:
    ratio = np.where(y > 0, y, mean) / mean
    return float(2 * (weight * (y * np.log(ratio) - (y - mean))).sum())
