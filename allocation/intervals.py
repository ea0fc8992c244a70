"""80 % intervals: a model's own idea of its error, corrected by its record on this very ledger.

The model is run again at earlier moments and its forecasts are compared with what the ledger says happened.
If it was wrong by more (or less) than it thought, its spread is scaled by the root mean square of error over
spread; where the record is short, ``PRIOR_TRIALS`` trials that went as expected are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from allocation import history
from allocation.history import Segment
from allocation.path import Path
from allocation.times import DAY

NORMAL_80 = 1.2816
"""Standard deviations on each side of the mean that hold 80 % of a normal distribution."""

HORIZONS_DAYS = (7, 30)
TRIALS = 8
PRIOR_TRIALS = 3.0
LEAST, MOST = 0.85, 4.0
"""A record may narrow or widen the spread by these factors at most: a quiet past is no promise, and a few
trials can all be odd."""


def correction(
    make: Callable[[Sequence[Segment], float], Path], segments: Sequence[Segment], now: float
) -> float:
    """By how much the model's spread is to be multiplied.

    Args:
        make: the model: segments until a moment, and the moment.
        segments: one resource's, in order of time, none from after now.
    """
    last = segments[-1]
    begins = float(last.times[0])
    squares = weight = 0.0
    for horizon in HORIZONS_DAYS:
        first, final = begins + 14 * DAY, now - horizon * DAY
        if final < first:
            continue
        # Windows that overlap tell the same story twice.
        independent = min(TRIALS / len(HORIZONS_DAYS), max(1.0, (final - first) / (horizon * DAY)))
        moments = np.linspace(final, first, TRIALS // len(HORIZONS_DAYS))
        found = [
            square
            for moment in moments
            if (square := _trial(make, segments, float(moment), horizon)) is not None
        ]
        if found:
            squares += independent * float(np.mean(found))
            weight += independent
    factor = math.sqrt((PRIOR_TRIALS + squares) / (PRIOR_TRIALS + weight))
    return min(MOST, max(LEAST, factor))


def _trial(
    make: Callable[[Sequence[Segment], float], Path], segments: Sequence[Segment], moment: float, horizon: int
) -> float | None:
    """The squared ratio of error to spread; None if the model had nothing to say, or the horizon was over."""
    path = make(history.until(segments, moment), moment)
    until = path.known_until + horizon * DAY
    if until < moment:  # within a gap of the figures
        return None
    now = history.until(segments, moment)[-1]
    happened = float(np.interp(now.times[-1] + horizon * DAY, segments[-1].times, segments[-1].used))
    spread = float(np.interp(until, path.times, path.spread))
    if spread <= 0:
        return None
    # Beyond this, one trial is an event of its own (a plan's change) and no measure of the usual error.
    return min(16.0, ((happened - float(np.interp(until, path.times, path.expected))) / spread) ** 2)


def band(path: Path, factor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval's lower and upper edge in SU, within what the plan allows, never falling."""
    half = NORMAL_80 * factor * path.spread
    low = np.clip(path.expected - half, np.minimum(path.least, path.expected), None)
    high = np.clip(path.expected + half, None, np.maximum(path.most, path.expected))
    return np.maximum.accumulate(low), np.maximum.accumulate(high)
