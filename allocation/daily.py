"""The burn of each day, out of figures that come late, in steps, and with gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocation.history import Segment
from allocation.times import DAY, HOUR

STOPPED = 2 * DAY
"""A figure that has not moved for longer than this, and longer than it ever paused, has really stopped:
reports come once a day."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Days:
    """The mean burn of whole UTC days.

    Attributes:
        day: shape (n,), ascending, days since the epoch.
        burn: shape (n,), SU/h.
    """

    day: NDArray[np.int64]
    burn: NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Use as it happened, as far as is known: straight between its points.

    Attributes:
        times: shape (n,), strictly ascending, seconds since the epoch.
        used: shape (n,), SU.
    """

    times: NDArray[np.float64]
    used: NDArray[np.float64]


def curve(segment: Segment, lag: float) -> Curve:
    """The points at which a segment's figure rose, moved back to when the use happened.

    A figure fetched more often than it is reported repeats itself: only its first appearance says when it was
    true. The last figure's repetitions count if they last too long to be a pause.

    Args:
        segment: what was reported.
        lag: seconds by which reports trail behind the use.
    """
    rose = np.flatnonzero(np.diff(segment.used, prepend=-np.inf) > 0)
    known, used = segment.times[rose], segment.used[rose]
    paused = segment.times[-1] - known[-1]
    if paused > max(STOPPED, np.diff(known).max(initial=0.0)):
        known, used = np.append(known, segment.times[-1]), np.append(used, used[-1])
    return Curve(times=known - lag, used=used)


def chains(segments: Sequence[Segment], lag: float) -> list[Curve]:
    """A curve for each run of segments over which usage counts on: a supplement does not break it."""
    runs: list[list[Segment]] = []
    for segment in segments:
        if runs and segment.reason == "supplement":
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return [curve(_joined(run), lag) for run in runs]


def days(curves: Sequence[Curve]) -> Days:
    """The burn of every whole day that a curve covers."""
    numbers: list[NDArray[np.int64]] = []
    burns: list[NDArray[np.float64]] = []
    for known in curves:
        first, last = int(np.ceil(known.times[0] / DAY)), int(known.times[-1] // DAY)
        if last <= first:
            continue
        edges = np.arange(first, last + 1, dtype=np.int64)
        numbers.append(edges[:-1])
        burns.append(np.diff(np.interp(edges * DAY, known.times, known.used)) / (DAY / HOUR))
    if not numbers:
        return Days(day=np.empty(0, np.int64), burn=np.empty(0))
    day, burn = np.concatenate(numbers), np.concatenate(burns)
    # Where a renewal cuts a day in two, neither half makes a whole one; where records overlap, the later
    # counts.
    _, last_of_each = np.unique(day[::-1], return_index=True)
    keep = len(day) - 1 - last_of_each
    return Days(day=day[keep], burn=burn[keep])


def _joined(run: Sequence[Segment]) -> Segment:
    if len(run) == 1:
        return run[0]
    times = np.concatenate([segment.times for segment in run])
    used = np.maximum.accumulate(np.concatenate([segment.used for segment in run]))
    return dataclasses.replace(run[-1], times=times, used=used)
