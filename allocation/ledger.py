"""The ledger: what the accounting service said, and when. A CSV file that is only ever added to.

Columns and meaning are those of the Unidata gateway's ``usage_monitoring.py``, whose files are read as they
are: ``timestamp`` (seconds since the epoch), ``resource``, ``service_units_used`` and
``service_units_allocated`` (SU), ``start_date`` and ``end_date`` (first and last day).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from allocation.errors import AllocationError
from allocation.history import Segment
from allocation.ledger_file import BadLine, Change, read_bytes, side_file, update
from allocation.ledger_rows import FIELDS, HEADER, Parsed, Row, Table, line, parse, problem
from allocation.ledger_segments import segments_of

__all__ = [
    "HEADER", "Appended", "BadLine", "Format", "Imported", "Ledger", "Row",
    "append", "export", "import_rows", "read", "side_file",
]  # fmt: skip

Format = Literal["csv", "json"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """What a ledger holds.

    Attributes:
        path: the file.
        segments: by resource, each resource's in order of time; ``ledger_segments`` has the rules.
        table: the good rows as they stand in the file.
        bad: the lines that are no rows, or of a time that has yet to come. They are still in the file.
    """

    path: Path
    segments: Mapping[str, tuple[Segment, ...]]
    table: Table
    bad: tuple[BadLine, ...]

    @property
    def rows(self) -> int:
        """How many good rows there are."""
        return len(self.table)

    def every_row(self) -> Iterator[Row]:
        """The good rows in the order of the file."""
        return self.table.rows()


@dataclasses.dataclass(frozen=True)
class Appended:
    """What ``append`` did.

    Attributes:
        rows: how many were appended.
        bad: lines that it found and moved to ``side_file(path)``.
    """

    rows: int
    bad: tuple[BadLine, ...]


@dataclasses.dataclass(frozen=True)
class Imported:
    """What ``import_rows`` did.

    Attributes:
        added: rows that are new.
        known: rows that the ledger had already, or that the source has twice.
        unreadable: bad lines of the source, which keeps them.
        bad: lines of the ledger that were moved to ``side_file(path)``.
    """

    added: int
    known: int
    unreadable: tuple[BadLine, ...]
    bad: tuple[BadLine, ...]


def read(path: Path, *, now: float | None = None) -> Ledger:
    """Reads a ledger; changes nothing.

    Args:
        now: seconds since the epoch, if the ledger was written on a clock that is ahead of this machine's.

    Raises:
        AllocationError: if there is no such file, it cannot be read, or it is no ledger.
    """
    parsed = _parse(read_bytes(path), path, now)
    bad = tuple(sorted((*parsed.bad, *parsed.ahead), key=lambda line: line.number))
    return Ledger(path=path, segments=segments_of(parsed.table), table=parsed.table, bad=bad)


def append(path: Path, rows: Sequence[Row], *, now: float | None = None) -> Appended:
    """Appends rows, safe from crashes and from other processes that append. Begins the ledger if need be.

    Bad lines that are found in the file, such as one that a crash left unfinished, are moved aside. Rows of a
    time that has yet to come stay: the clock may have been set back.

    Args:
        now: as for ``read``.

    Raises:
        AllocationError: if a row is not valid, the file is no ledger, or it cannot be written. Then nothing
            was appended.
    """
    for row in rows:
        reason = problem(row, now=_clock(now))
        if reason:
            raise AllocationError(f"nothing was added to {path}: {reason} (in {line(row)})")
    bad: tuple[BadLine, ...] = ()

    def decide(content: bytes) -> Change:
        nonlocal bad
        bad = _parse(content, path, now).bad
        return Change([line(row) for row in rows], bad)

    update(path, decide, header=HEADER)
    return Appended(len(rows), bad)


def import_rows(path: Path, source: Path, *, now: float | None = None) -> Imported:
    """Adds the rows of another ledger that this one does not have yet: all of them, or none if it fails.

    Args:
        source: the other ledger; it is not changed.
        now: as for ``read``.

    Raises:
        AllocationError: as ``read`` for the source and ``append`` for the ledger.
    """
    other = read(source, now=now)
    result = Imported(0, 0, other.bad, ())

    def decide(content: bytes) -> Change:
        nonlocal result
        parsed = _parse(content, path, now)
        known = set(map(line, parsed.table.rows()))
        new = [row for row in dict.fromkeys(map(line, other.every_row())) if row not in known]
        result = Imported(len(new), other.rows - len(new), other.bad, parsed.bad)
        return Change(new, parsed.bad, whole=bool(new))

    update(path, decide, header=HEADER)
    return result


def export(ledger: Ledger, form: Format) -> str:
    """The good rows in order of time, as CSV like the ledger's or as a JSON list of objects."""
    rows = ledger.table.rows(np.argsort(ledger.table.timestamp, kind="stable"))
    if form == "csv":
        return "".join(text + "\n" for text in [HEADER, *map(line, rows)])
    return "[" + ",\n ".join(json.dumps(_as_json(row)) for row in rows) + "]\n"


def _as_json(row: Row) -> dict[str, float | str]:
    values = (row.timestamp, row.resource, row.used, row.allocated, str(row.start), str(row.end))
    return dict(zip(FIELDS, values, strict=True))


def _parse(content: bytes, path: Path, now: float | None) -> Parsed:
    parsed = parse(content, now=_clock(now))
    if not parsed.is_ledger:
        raise AllocationError(
            f"{path} is not a ledger: none of its lines is a row of {HEADER}; name another file"
        )
    return parsed


def _clock(now: float | None) -> float:
    """The later of a given time and this machine's: a rerun for an earlier time may meet newer rows."""
    return max(time.time(), now or 0)
