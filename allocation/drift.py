"""Whether the use that the cloud reports agrees with what the servers should have burnt.

Each time that figures are recorded, the servers' burn is computed too and becomes a sample. Between two
samples the burn is taken to change evenly, so that what comes and goes between them stays unseen: hourly
samples tell more than daily ones.

The reported use trails behind. The lag is the one at which the use reported between figures agrees best, by
least squares, with the computed burn of the same time earlier; a common factor between the two is left free,
so that a wrong rate does not pass for a lag. Where the burn hardly varied there is nothing to tell it by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.history import Segment
from allocation.samples import Sample

LONGEST_GAP_H = 36.0
"""Hours between two figures or samples beyond which what lies between them is not known well enough."""

LAGS_H: NDArray[np.float64] = np.arange(0.0, 48.5, 0.5)
"""Lags in hours that are tried. Jetstream2 documents 12 to 24."""

ABOUT_A_DAY_H = 20.0
"""Hours between the figures that the lag is told from, or more: the service counts about once a day, so that
figures fetched more often are steps."""

FEWEST_INTERVALS = 7
LEAST_VARIATION = 0.05
LEAST_GAIN = 0.5
"""A lag is told from so many intervals or more; if the computed burn varies between them by more than this
part of its mean (standard deviation); and if it explains this part of what the worst leaves unexplained."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Day:
    """One UTC day.

    Attributes:
        day: the date.
        reported: SU by which the figures rose for it, as much later as they trail behind.
        computed: SU that the servers burnt on it.
        ratio: reported / computed; None where nothing was computed.
    """

    day: date
    reported: float
    computed: float
    ratio: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the reported use of a resource agrees with the computed.

    Attributes:
        days: those of which both are known, in order.
        ratio: reported / computed over all of them; None if there are none or nothing was computed.
        lag_hours: how far the figures trail behind the use; None if that cannot be told.
        sentence: the same in words.
    """

    days: tuple[Day, ...]
    ratio: float | None
    lag_hours: float | None
    sentence: str


def agreement(segments: Sequence[Segment], samples: Sequence[Sample]) -> Agreement:
    """Compares the reported use of one resource with its computed burn.

    Args:
        segments: the resource's, in order of time; not none.
        samples: of all resources, in any order; those of others are left out.
    """
    reported = _reported(segments)
    computed = _computed([sample for sample in samples if sample.resource == segments[0].resource])
    lag, why_not = _lag_hours(reported, computed)
    days = tuple(_days(reported, computed, (lag or 0.0) * times.HOUR))
    total = sum(day.computed for day in days)
    ratio = sum(day.reported for day in days) / total if total > 0 else None
    trails = why_not if lag is None else f"the figures trail behind the use by {lag:g} h"
    if ratio is not None:
        counted = "1 day" if len(days) == 1 else f"{len(days)} days"
        sentence = f"Over {counted} the reported use is {ratio:.2f} times the computed; {trails}."
    elif days:
        sentence = f"On {len(days)} day(s) nothing was computed to burn; {trails}."
    else:
        sentence = "There is no day yet of which both the reported and the computed use are known."
    return Agreement(days=days, ratio=ratio, lag_hours=lag, sentence=sentence)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Course:
    """A burn over time, which changes evenly between moments and may jump at them.

    Attributes:
        moments: shape (n,), strictly ascending, seconds since the epoch.
        begins, ends: shape (n - 1,), SU/h just after a moment and just before the next.
        unknown: shape (n - 1,), whether the burn in between is not known.
    """

    moments: NDArray[np.float64]
    begins: NDArray[np.float64]
    ends: NDArray[np.float64]
    unknown: NDArray[np.bool_]

    def between(self, since: NDArray[np.float64], until: NDArray[np.float64]) -> NDArray[np.float64]:
        """SU burnt from one time to another, elementwise; NaN where that is not known wholly."""
        if len(self.moments) < 2:
            return np.full(np.broadcast(since, until).shape, np.nan)
        gaps = np.concatenate([[0], np.cumsum(self.unknown)])
        last = len(self.begins) - 1
        first_gap = gaps[np.clip(np.searchsorted(self.moments, since, side="right") - 1, 0, last)]
        after_gap = gaps[np.clip(np.searchsorted(self.moments, until, side="left") - 1, 0, last) + 1]
        known = (since >= self.moments[0]) & (until <= self.moments[-1]) & (first_gap == after_gap)
        return np.where(known, self._by(until) - self._by(since), np.nan)

    def _by(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """SU burnt from the first moment to a time."""
        hours = np.diff(self.moments) / times.HOUR
        burnt = np.concatenate([[0.0], np.cumsum((self.begins + self.ends) / 2 * hours)])
        place = np.clip(np.searchsorted(self.moments, at, side="right") - 1, 0, len(hours) - 1)
        passed = (at - self.moments[place]) / times.HOUR
        slope = (self.ends - self.begins)[place] / hours[place]
        result: NDArray[np.float64] = burnt[place] + (self.begins[place] + slope * passed / 2) * passed
        return result


def _reported(segments: Sequence[Segment]) -> _Course:
    """The reported use as a burn, which is taken to be constant between two figures."""
    moments = np.concatenate([segment.times for segment in segments])
    used = np.concatenate([segment.used for segment in segments])
    hours = np.diff(moments) / times.HOUR
    unknown = hours > LONGEST_GAP_H
    firsts = np.cumsum([len(segment.times) for segment in segments])[:-1]
    for first, segment in zip(firsts, segments[1:], strict=True):
        unknown[first - 1] |= segment.reason != "supplement"
    rate = np.diff(used) / hours
    return _Course(moments=moments, begins=rate, ends=rate, unknown=unknown)


def _computed(samples: Sequence[Sample]) -> _Course:
    """Of samples of the same moment the last counts."""
    by_moment = {sample.timestamp: sample.su_per_hour for sample in samples}
    moments = np.array(sorted(by_moment), dtype=np.float64)
    rates = np.array([by_moment[moment] for moment in moments], dtype=np.float64)
    unknown = np.diff(moments) > LONGEST_GAP_H * times.HOUR
    return _Course(moments=moments, begins=rates[:-1], ends=rates[1:], unknown=unknown)


def _lag_hours(reported: _Course, computed: _Course) -> tuple[float | None, str]:
    """The lag that explains the reported use best, in hours; or None, and why it cannot be told."""
    marks = _about_daily(reported.moments)
    since, until = marks[:-1], marks[1:]
    rose = reported.between(since, until)
    lags = LAGS_H[:, np.newaxis] * times.HOUR
    burnt = computed.between(since - lags, until - lags)
    known = np.isfinite(rose) & np.isfinite(burnt).all(axis=0)
    rose, burnt = rose[known], burnt[:, known]
    if len(rose) < FEWEST_INTERVALS:
        return None, "how far the figures trail cannot be told from so few of them"
    rate = burnt[0] / (until - since)[known]
    if np.std(rate) <= LEAST_VARIATION * np.mean(rate):
        return None, "how far the figures trail cannot be told, since the burn hardly changed"
    power = np.maximum((burnt**2).sum(axis=1), np.finfo(np.float64).tiny)
    left = np.maximum(0.0, (rose**2).sum() - (burnt @ rose) ** 2 / power)
    best = int(np.argmin(left))
    if best == len(left) - 1 or left[best] >= (1 - LEAST_GAIN) * left.max():
        return None, f"no lag of up to {LAGS_H[-1]:g} h explains the figures"
    return float(LAGS_H[best]), ""


def _about_daily(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some of the moments, so that each comes ``ABOUT_A_DAY_H`` or more after the one before."""
    kept = [moments[0]]
    for moment in moments[1:]:
        if moment - kept[-1] >= ABOUT_A_DAY_H * times.HOUR:
            kept.append(moment)
    return np.array(kept)


def _days(reported: _Course, computed: _Course, lag: float) -> Iterator[Day]:
    earliest, latest = np.floor((reported.moments[[0, -1]] - lag) / times.DAY)
    begin = np.arange(earliest, latest + 1) * times.DAY
    rose = reported.between(begin + lag, begin + lag + times.DAY)
    burnt = computed.between(begin, begin + times.DAY)
    for place in np.flatnonzero(np.isfinite(rose) & np.isfinite(burnt)):
        was, should = float(rose[place]), float(burnt[place])
        yield Day(
            day=times.utc(begin[place]).date(),
            reported=was,
            computed=should,
            ratio=was / should if should > 0 else None,
        )
