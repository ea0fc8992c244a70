"""Forecasts of an allocation's use: the paper's lines, and the planned pools' burn.

``forecast`` is the door; the models are in ``lines`` and ``planned``.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Model = Literal["linear", "least-squares", "planned"]
MODELS: tuple[Model, ...] = ("linear", "least-squares", "planned")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Use of the allocation from now to its end, with an 80 % interval.

    Attributes:
        model: which model made it.
        times: shape (n,), n ≥ 2, ascending, seconds since the epoch: from now to the allocation's end.
        expected, low, high: shape (n,), SU used at those times; low ≤ expected ≤ high, none ever falls.
        fallback: None, or why the model could not be fitted and what was done instead, in one sentence.
    """

    model: Model
    times: NDArray[np.float64]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    fallback: str | None
