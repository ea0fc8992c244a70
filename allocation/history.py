"""What is known of one resource's past: the ledger's rows as segments within which usage only adds up."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.errors import AllocationError

_RESET = 0.5
"""A counter that falls below this part of its value has begun anew; refunds take less."""

Reason = Literal["first", "renewal", "supplement", "reset"]
"""Why a segment begins: the ledger does; the allocation's dates changed; more (or fewer) SU were granted for
the same dates; the counter fell although the dates stayed."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """A run of rows with the same dates and the same SU granted, in which usage never falls.

    Attributes:
        resource: as the accounting API names it, such as ``jetstream2.indiana.xsede.org``.
        reason: why it begins. Usage counts on from the segment before it only after a ``supplement``.
        starts_at: first moment of the allocation, in seconds since the epoch.
        ends_at: the moment the allocation's last day is over.
        allocated: SU granted.
        times: shape (n,), n ≥ 1, strictly ascending, seconds since the epoch: when each figure was fetched.
        used: shape (n,), never descending, SU used since the allocation's start.
        reported: shape (n,), SU as the service said, where ``used`` is not just that; None if it is.
    """

    resource: str
    reason: Reason
    starts_at: float
    ends_at: float
    allocated: float
    times: NDArray[np.float64]
    used: NDArray[np.float64]
    reported: NDArray[np.float64] | None = None


def current(segments: Sequence[Segment], now: float) -> Segment:
    """The segment that tells most about the allocation at a time: the last that has a row by then, cut there.

    Args:
        segments: one resource's, in order of time.
        now: seconds since the epoch.

    Raises:
        AllocationError: if there is no row that early.
    """
    known = until(segments, now)
    if not known:
        raise AllocationError(f"the ledger has no figure from before {times.utc(now):%Y-%m-%d %H:%M} UTC")
    return known[-1]


def until(segments: Sequence[Segment], now: float) -> list[Segment]:
    """The segments as they were known at a time, without the rows from after it; none that has no row left.

    What later rows say of earlier ones, such as a refund, was not known yet.
    """
    kept = []
    for segment in segments:
        count = int(np.searchsorted(segment.times, now, side="right"))
        if count:
            reported = None if segment.reported is None else segment.reported[:count]
            kept.append(
                dataclasses.replace(
                    segment, times=segment.times[:count], used=segment.used[:count], reported=reported
                )
            )
    if len(kept) == len(segments) and all(
        len(cut.times) == len(whole.times) for cut, whole in zip(kept, segments, strict=True)
    ):
        return kept
    plain = all(segment.reported is None and segment.reason != "reset" for segment in segments)
    return kept if plain else adding_up([_as_reported(segment) for segment in kept])


def adding_up(parts: Sequence[Segment]) -> list[Segment]:
    """Segments in which usage only adds up, of parts in which it is as it was reported.

    The rules:

    - A figure that is told again counts as told once: how often figures are fetched changes nothing.
    - A figure below half of the one before, and below the one before that, begins a segment: ``reset``.
    - Other falls are none. A figure that dips below the one before and is made good by the very next is a
      misreading, and gets the value before it. After any other fall the accounting has corrected itself, by
      a refund say: the higher figures before are lowered to what it says now. So usage never falls, and the
      newest figure always stands as it was reported.

    Args:
        parts: one resource's, in order of time; those with the reason ``reset`` are judged anew.
    """
    parts = _joined(parts)
    if not parts:
        return []
    reported = np.concatenate([part.used for part in parts])
    begins = np.cumsum([0, *(len(part.times) for part in parts)])
    renewed = np.zeros(len(reported) - 1, dtype=bool)
    renewed[
        [begin - 1 for begin, part in zip(begins[1:-1], parts[1:], strict=True) if part.reason == "renewal"]
    ] = True
    used, reset = _only_adding_up(reported, renewed)
    segments = []
    for part, first, after in zip(parts, begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        cuts = [first, *(np.flatnonzero(reset[first : after - 1]) + first + 1).tolist(), after]
        for begin, end in itertools.pairwise(cuts):
            told, counted = reported[begin:end], used[begin:end]
            segments.append(
                dataclasses.replace(
                    part,
                    reason="reset" if begin and reset[begin - 1] else part.reason,
                    times=part.times[begin - first : end - first],
                    used=counted,
                    reported=None if np.array_equal(told, counted) else told,
                )
            )
    return segments


def counted_since(segments: Sequence[Segment], lag: float = 0.0) -> float:
    """Since when the newest segment's figures count, in seconds since the epoch: the allocation's start, or
    after a reset the moment of the last figure before it.

    Args:
        lag: seconds by which figures trail behind the use.
    """
    for before, segment in zip(segments[-2::-1], segments[:0:-1], strict=False):
        if segment.reason == "reset":
            return float(before.times[-1]) - lag
        if segment.reason != "supplement":
            break
    return segments[-1].starts_at


def even_pace(segment: Segment) -> float:
    """The burn in SU/h that would use up what was granted, evenly from first to last day."""
    return segment.allocated / ((segment.ends_at - segment.starts_at) / times.HOUR)


def counted_from(segments: Sequence[Segment]) -> str:
    """What ``counted_since`` is the moment of, in words."""
    return (
        "the allocation began" if counted_since(segments) == segments[-1].starts_at else "the counter's reset"
    )


def _as_reported(segment: Segment) -> Segment:
    if segment.reported is None:
        return segment
    return dataclasses.replace(segment, used=segment.reported, reported=None)


def _joined(parts: Sequence[Segment]) -> list[Segment]:
    """The parts, without those that only a reset parted from the one before."""
    joined: list[Segment] = []
    for part in parts:
        if part.reason != "reset" or not joined:
            joined.append(part)
        elif part.allocated != joined[-1].allocated:
            joined.append(dataclasses.replace(part, reason="supplement"))
        else:
            last = joined[-1]
            joined[-1] = dataclasses.replace(
                last,
                times=np.concatenate([last.times, part.times]),
                used=np.concatenate([last.used, part.used]),
            )
    return joined


def _only_adding_up(
    reported: NDArray[np.float64], renewed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What was used, never falling but where the counter began anew.

    Args:
        reported: shape (n,), SU.
        renewed: shape (n - 1,), whether the dates changed after each.

    Returns:
        Shape (n,), SU; and shape (n - 1,), whether the counter was reset after each.
    """
    fresh = np.append(True, renewed | (reported[1:] != reported[:-1]))
    used, reset_after = _changes_adding_up(reported[fresh], renewed[fresh[1:]])
    reset = np.zeros(len(renewed), dtype=bool)
    reset[fresh[1:]] = reset_after
    return used[np.cumsum(fresh) - 1], reset


def _changes_adding_up(
    reported: NDArray[np.float64], renewed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """As ``_only_adding_up``, where no figure repeats the one before."""
    used = reported.copy()
    # Figures i - 1, i and i + 1 of the same dates, of which the middle one dips.
    dips = ~renewed[:-1] & ~renewed[1:] & (used[1:-1] < used[:-2]) & (used[2:] >= used[:-2])
    lifted = np.flatnonzero(dips) + 1
    used[lifted] = used[lifted - 1]

    reset = ~renewed & (used[1:] < _RESET * used[:-1])
    # A fall that only takes back the rise right before it ends a misreading upwards.
    reset[1:] &= renewed[:-1] | (used[2:] < used[:-2])

    for part in np.split(np.arange(len(used)), np.flatnonzero(renewed | reset) + 1):
        used[part] = np.minimum.accumulate(used[part][::-1])[::-1]
    return used, reset
