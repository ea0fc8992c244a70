"""The lines of a ledger as rows, and rows as lines."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.ledger_file import BadLine, shown

HEADER = "timestamp,resource,service_units_used,service_units_allocated,start_date,end_date"
"""First line of a ledger: the columns of the Unidata gateway's usage_monitoring.py."""

FIELDS = tuple(HEADER.split(","))

_MARK = b"\xef\xbb\xbf"  # what some editors put in front of UTF-8
_HEADERS = frozenset(mark + lead + HEADER.encode() for mark in (b"", _MARK) for lead in (b"", b","))
_DATE = re.compile(rb"\d{4}-\d{2}-\d{2}")
_RESOURCE = re.compile(r"[\w.:/-]+")
_MOST = 1e15
"""SU beyond which a figure is a slip; sums of larger ones could leave what a float holds."""
_LATEST = times.day_begins(date(times.YEARS[-1], 1, 1))
"""A later time is no time, such as one in milliseconds."""

_CHUNK = 4096
"""Lines parsed at once. If one of them is bad, so many are parsed one by one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One figure of the accounting service.

    Attributes:
        timestamp: when it was fetched, in seconds since the epoch.
        resource: as the accounting API names it.
        used, allocated: SU.
        start, end: first and last day of the allocation.
    """

    timestamp: float
    resource: str
    used: float
    allocated: float
    start: date
    end: date


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Table:
    """Rows by column, in the order of the file.

    Attributes:
        names: the resources.
        resource: shape (n,), place in ``names``.
        timestamp: shape (n,), seconds since the epoch.
        used, allocated: shape (n,), SU.
        start, end: shape (n,), days as ``date.toordinal`` counts them.
    """

    names: tuple[str, ...]
    resource: NDArray[np.int64]
    timestamp: NDArray[np.float64]
    used: NDArray[np.float64]
    allocated: NDArray[np.float64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, order: NDArray[np.int64] | None = None) -> Iterator[Row]:
        """The rows, in the order of the file or another."""
        which = slice(None) if order is None else order
        columns = (self.timestamp, self.resource, self.used, self.allocated, self.start, self.end)
        for timestamp, resource, used, allocated, start, end in zip(
            *(column[which].tolist() for column in columns), strict=True
        ):
            first, last = date.fromordinal(start), date.fromordinal(end)
            yield Row(timestamp, self.names[resource], used, allocated, first, last)


class AheadError(ValueError):
    """A row is good, but its time has yet to come: it, or this machine's clock, is wrong."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds.

    Attributes:
        table: the good rows.
        bad: the lines that are no rows.
        ahead: rows of a time that has yet to come. They may be right, and the clock wrong.
        is_ledger: False if the file has lines, but none that a ledger has.
    """

    table: Table
    bad: tuple[BadLine, ...]
    ahead: tuple[BadLine, ...]
    is_ledger: bool


def line(row: Row) -> str:
    """A row as it stands in the file. Reading it gives the same row, to the last bit."""
    numbers = (repr(float(number)) for number in (row.timestamp, row.used, row.allocated))
    timestamp, used, allocated = numbers
    return f"{timestamp},{row.resource},{used},{allocated},{row.start},{row.end}"


def problem(row: Row, *, now: float) -> str | None:
    """What keeps a row out of a ledger, or None."""
    try:
        _Parser(now).columns([line(row).encode()])
    except ValueError as error:
        return str(error)
    return None


def parse(content: bytes, *, now: float) -> Parsed:
    """Reads what a file holds.

    Blank lines and headers may stand anywhere; a first column of row numbers, as pandas writes, is ignored.

    Args:
        now: seconds since the epoch; a figure fetched more than a day later is ahead of the clock.
    """
    parser = _Parser(now)
    parts = [parser.columns([])]
    bad: list[BadLine] = []
    ahead: list[BadLine] = []
    lines = content.split(b"\n")
    headers = 0
    for first in range(0, len(lines), _CHUNK):
        chunk = [text.rstrip(b"\r") for text in lines[first : first + _CHUNK]]
        filled = [text for text in chunk if text and not text.isspace()]
        wanted = [text for text in filled if text not in _HEADERS]
        headers += len(filled) - len(wanted)
        try:
            parts.append(parser.columns(wanted))
        except ValueError:
            for number, text in enumerate(chunk, first + 1):
                if not text.strip() or text in _HEADERS:
                    continue
                try:
                    parts.append(parser.columns([text]))
                except ValueError as error:
                    unused = ahead if isinstance(error, AheadError) else bad
                    unused.append(BadLine(number, shown(text), str(error)))
    table = _table(parts, tuple(parser.resources))
    # A crash while the header was written leaves the beginning of one.
    begun = HEADER.encode().startswith(content.strip())
    is_ledger = bool(headers or len(table) or ahead or begun)
    return Parsed(table, tuple(bad), tuple(ahead), is_ledger)


_Columns = tuple[
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
]


def _table(parts: Sequence[_Columns], names: tuple[str, ...]) -> Table:
    timestamp, resource, used, allocated, start, end = (
        np.concatenate([part[column] for part in parts]) for column in range(len(FIELDS))
    )
    return Table(
        names=names,
        timestamp=timestamp.astype(np.float64),
        resource=resource.astype(np.int64),
        used=used.astype(np.float64),
        allocated=allocated.astype(np.float64),
        start=start.astype(np.int64),
        end=end.astype(np.int64),
    )


class _Known(dict[bytes, int]):
    """Numbers of texts that come again and again: each is understood once."""

    def __init__(self, understand: Callable[[bytes], int]) -> None:
        super().__init__()
        self._understand = understand

    def __missing__(self, text: bytes) -> int:
        number = self[text] = self._understand(text)
        return number


class _Parser:
    """Lines to columns. Works on whole columns, which takes a tenth of the time that line by line does."""

    def __init__(self, now: float) -> None:
        self._latest = now + times.DAY
        self.resources: dict[str, int] = {}
        self._resource = _Known(self._number_resource)
        self._day = _Known(_day)

    def columns(self, lines: Sequence[bytes]) -> _Columns:
        """The columns of lines that are all good.

        Raises:
            ValueError: if one is not; with a single line the text says why.
        """
        fields = b",".join(lines).split(b",") if lines else []
        width = self._width(lines)
        if width > len(FIELDS):
            if not all(number.isdigit() for number in fields[0::width]):
                raise ValueError(f"has {width} fields, not {len(FIELDS)}")
            del fields[0::width]
            width -= 1
        timestamp, used, allocated = (_numbers(fields, column) for column in (0, 2, 3))
        start = np.array([self._day[text] for text in fields[4::width]], dtype=np.int64)
        end = np.array([self._day[text] for text in fields[5::width]], dtype=np.int64)
        if (timestamp > _LATEST).any():
            raise ValueError("timestamp is in the far future; it must be in seconds since 1970, UTC")
        if (end < start).any():
            raise ValueError("end_date is before start_date")
        if (timestamp > self._latest).any():
            raise AheadError("timestamp is in the future by this machine's clock")
        # Last, so that only good lines make a resource known.
        resource = np.array([self._resource[text] for text in fields[1::width]], dtype=np.int64)
        return timestamp, resource, used, allocated, start, end

    @staticmethod
    def _width(lines: Sequence[bytes]) -> int:
        """Fields on each line: as many as there are columns, or one more, which may be row numbers."""
        widths = {text.count(b",") + 1 for text in lines} or {len(FIELDS)}
        if len(widths) > 1 or not widths <= {len(FIELDS), len(FIELDS) + 1}:
            raise ValueError(f"has {max(widths)} fields, not {len(FIELDS)}")
        return widths.pop()

    def _number_resource(self, text: bytes) -> int:
        name = text.decode()  # a UnicodeDecodeError is a ValueError
        if not _RESOURCE.fullmatch(name):
            raise ValueError(f"resource {name!r} is not a name such as jetstream2.indiana.xsede.org")
        return self.resources.setdefault(name, len(self.resources))


def _numbers(fields: Sequence[bytes], column: int) -> NDArray[np.float64]:
    texts = fields[column :: len(FIELDS)]
    try:
        numbers = np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError:
        raise ValueError(f"{FIELDS[column]} {shown(texts[0])!r} is not a number") from None
    if not ((numbers >= 0) & (numbers <= _MOST)).all():
        raise ValueError(f"{FIELDS[column]} {shown(texts[0])!r} is not a number from 0 to {_MOST:g}")
    return numbers


def _day(text: bytes) -> int:
    try:
        day = date.fromisoformat(text.decode()) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year < 3000:
        raise ValueError(f"{shown(text)!r} is not a date such as 2026-09-30")
    return day.toordinal()
