"""A ledger's rows as segments within which usage only adds up.

The rules, for the rows of one resource in order of time:

- Of rows with the same timestamp that with the latest end date counts, and of those the last in the file.
- Other dates begin a segment: ``renewal``.
- A figure below half of the one before, and below the one before that, begins a segment: ``reset``.
- Other falls are none. A figure that dips below the one before and is made good by the very next is a
  misreading, and gets the value before it. After any other fall the accounting has corrected itself, by a
  refund say: the higher figures before are lowered to what it says now. So usage never falls, and the newest
  figure always stands as it was reported.
- Another amount granted for the same dates begins a segment in which usage counts on: ``supplement``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.history import Reason, Segment
from allocation.ledger_rows import Table

_RESET = 0.5
"""A counter that falls below this part of its value has begun anew; refunds take less."""

_EPOCH = 719163
"""1970-01-01 as ``date.toordinal`` counts days."""


def segments_of(table: Table) -> dict[str, tuple[Segment, ...]]:
    """The segments of each resource that has rows, by name, in order of time."""
    places = {
        name: np.flatnonzero(table.resource == number)
        for name, number in sorted((name, number) for number, name in enumerate(table.names))
    }
    return {name: tuple(_segments(name, table, rows)) for name, rows in places.items() if len(rows)}


def _segments(resource: str, table: Table, rows: NDArray[np.int64]) -> list[Segment]:
    rows = rows[np.lexsort((rows, table.end[rows], table.timestamp[rows]))]
    timestamp = table.timestamp[rows]
    rows = rows[np.append(timestamp[1:] != timestamp[:-1], True)]
    start, end, allocated = table.start[rows], table.end[rows], table.allocated[rows]

    renewed = (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    used, reset = _only_adding_up(table.used[rows], renewed)
    granted = allocated[1:] != allocated[:-1]
    cuts = np.flatnonzero(renewed | reset | granted) + 1

    segments = []
    for first, after in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True):
        reason: Reason = "first"
        if first:
            at = first - 1
            reason = "renewal" if renewed[at] else "reset" if reset[at] else "supplement"
        segments.append(
            Segment(
                resource=resource,
                reason=reason,
                starts_at=(float(start[first]) - _EPOCH) * times.DAY,
                # Through all of the last day.
                ends_at=(float(end[first]) + 1 - _EPOCH) * times.DAY,
                allocated=float(allocated[first]),
                times=table.timestamp[rows[first:after]],
                used=used[first:after],
            )
        )
    return segments


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
