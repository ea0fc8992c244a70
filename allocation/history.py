"""What is known of one resource's past: the ledger's rows as segments within which usage only adds up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.errors import AllocationError

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
    """

    resource: str
    reason: Reason
    starts_at: float
    ends_at: float
    allocated: float
    times: NDArray[np.float64]
    used: NDArray[np.float64]


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
    """The segments without their rows from after a time; those with no row left are left out."""
    kept = []
    for segment in segments:
        count = int(np.searchsorted(segment.times, now, side="right"))
        if count:
            kept.append(dataclasses.replace(segment, times=segment.times[:count], used=segment.used[:count]))
    return kept
