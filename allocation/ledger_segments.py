"""A ledger's rows as segments within which usage only adds up.

The rules, for the rows of one resource in order of time:

- Of rows with the same timestamp that with the latest end date counts, and of those the last in the file.
- Other dates begin a segment: ``renewal``.
- Another amount granted for the same dates begins a segment in which usage counts on: ``supplement``.
- Where usage falls all the same, ``history.adding_up`` has the rules.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocation import history, times
from allocation.history import Reason, Segment
from allocation.ledger_rows import Table

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
    granted = allocated[1:] != allocated[:-1]
    cuts = np.flatnonzero(renewed | granted) + 1

    parts = []
    for first, after in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True):
        reason: Reason = "first"
        if first:
            reason = "renewal" if renewed[first - 1] else "supplement"
        parts.append(
            Segment(
                resource=resource,
                reason=reason,
                starts_at=(float(start[first]) - _EPOCH) * times.DAY,
                # Through all of the last day.
                ends_at=(float(end[first]) + 1 - _EPOCH) * times.DAY,
                allocated=float(allocated[first]),
                times=table.timestamp[rows[first:after]],
                used=table.used[rows[first:after]],
            )
        )
    return history.adding_up(parts)
