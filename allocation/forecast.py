"""Forecasts of an allocation's use: the paper's lines, and the planned pools' burn.

The models are in ``lines`` and ``planned``, their intervals in ``intervals``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocation import history, intervals, lines
from allocation.history import Segment
from allocation.path import Path
from allocation.plan import Plan
from allocation.planned import planned

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


def forecast(segments: Sequence[Segment], *, now: float, plan: Plan, model: Model) -> Forecast:
    """What a model expects of the allocation that is current now.

    Args:
        segments: one resource's, in order of time; rows from after ``now`` are left out.
        now: seconds since the epoch.
        plan: what is known of the future; only ``planned`` heeds it. ``Plan()`` when nothing is.
        model: which.

    Raises:
        AllocationError: if there is no figure from before ``now``, or a flavor of the plan has no rate.
    """
    history.current(segments, now)
    known = history.until(segments, now)
    make = maker(model, plan)
    path = make(known, now)
    low, high = intervals.band(path, intervals.correction(make, known, now))
    return Forecast(
        model=model, times=path.times, expected=path.expected, low=low, high=high, fallback=path.fallback
    )


def maker(model: Model, plan: Plan) -> Callable[[Sequence[Segment], float], Path]:
    """A model as a function of what was known at a moment, and the moment."""
    if model == "linear":
        return lines.linear
    if model == "least-squares":
        return lines.least_squares
    return lambda segments, now: planned(segments, now, plan.of(segments[-1].resource))
