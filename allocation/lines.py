"""The paper's models: a straight line through the past month.

``linear`` is the two-point line of the original script: through the last row and the row nearest to a month
before it. ``least-squares`` takes the slope of all rows between them. Both go on from the last row, and know
nothing of plans, weekends or classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocation import history
from allocation.history import Segment
from allocation.path import Path
from allocation.times import DAY, HOUR

IDLE_PART = 0.1
"""However little the line burns, it is doubted as if it burnt this part of an even pace."""

NONE_PART = 1e-6
"""A line of less than this part of an even pace is what rounding leaves of none."""

LOOKBACK_DAYS = 30
"""Days that a line looks back over; the original's users chose this figure on the command line."""

LOOKBACK_TOLERANCE_DAYS = 3
"""A missed figure or two make no other line."""

USUAL_ERROR = 0.1
"""Standard deviation of a line's burn, relative, before its own record is known."""


def linear(segments: Sequence[Segment], now: float) -> Path:
    """The two-point line: ``r = (s_last - s_i) / (t_last - t_i)``, with i the row nearest to a month
    before."""
    times, used = _same_allocation(segments)
    if times[-1] - times[0] < HOUR:
        return _since_the_start(segments, now)
    first = _a_month_before(times)
    slope = (used[-1] - used[first]) / (times[-1] - times[first])
    return _line(segments[-1], now, slope, _other_lookback(times, first))


def least_squares(segments: Sequence[Segment], now: float) -> Path:
    """The slope of an ordinary least-squares fit over the month's rows."""
    times, used = _same_allocation(segments)
    if len(times) < 3 or times[-1] - times[0] < HOUR:
        path = linear(segments, now)
        why = path.fallback or "two rows only: the line through both"
        return dataclasses.replace(path, fallback=why)
    import statsmodels.api as sm

    first = _a_month_before(times)
    days = (times[first:] - times[-1]) / DAY
    fit = sm.OLS(used[first:], sm.add_constant(days, has_constant="add")).fit()
    return _line(segments[-1], now, max(0.0, float(fit.params[1])) / DAY, _other_lookback(times, first))


def _same_allocation(segments: Sequence[Segment]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rows over which usage counts on without a break."""
    run = [segments[-1]]
    for before, after in zip(segments[-2::-1], segments[:0:-1], strict=False):
        if after.reason != "supplement":
            break
        run.insert(0, before)
    used = np.maximum.accumulate(np.concatenate([segment.used for segment in run]))
    return np.concatenate([segment.times for segment in run]), used


def _a_month_before(times: NDArray[np.float64]) -> int:
    """The row nearest to a month before the last, never the last itself."""
    return int(np.argmin(np.abs(times[:-1] - (times[-1] - LOOKBACK_DAYS * DAY))))


def _other_lookback(times: NDArray[np.float64], first: int) -> str | None:
    """What to tell where there is no figure of about a month before: too short a history, or a gap."""
    days = float(times[-1] - times[first]) / DAY
    if abs(days - LOOKBACK_DAYS) <= LOOKBACK_TOLERANCE_DAYS:
        return None
    return f"no figure of {LOOKBACK_DAYS} days before: the line is that of {days:.3g} days"


def _since_the_start(segments: Sequence[Segment], now: float) -> Path:
    """With a single row, or several at once: the mean burn since counting began."""
    segment = segments[-1]
    elapsed = float(segment.times[-1]) - history.counted_since(segments)
    slope = float(segment.used[-1]) / elapsed if elapsed >= HOUR else 0.0
    why = (
        f"less than an hour of figures: the mean burn since {history.counted_from(segments)}"
        if slope
        else "less than an hour of figures, nothing used yet"
    )
    return _line(segment, now, slope, why)


def _line(segment: Segment, now: float, slope: float, fallback: str | None) -> Path:
    """Straight on from the last row, slope in SU a second."""
    pace = history.even_pace(segment) / HOUR
    if slope <= NONE_PART * pace and fallback is None:
        fallback = (
            "nothing used in the past month: none expected; the interval is a guess from what was granted"
        )
    times = np.linspace(now, max(segment.ends_at, now), 200)
    last = float(segment.times[-1])
    ahead = np.maximum(times - last, 0.0)
    expected = segment.used[-1] + slope * ahead
    return Path(
        times=times,
        expected=expected,
        spread=USUAL_ERROR * max(slope, IDLE_PART * pace) * ahead,
        least=np.full(len(times), segment.used[-1]),
        most=np.full(len(times), np.inf),
        known_until=last,
        fallback=fallback,
    )
