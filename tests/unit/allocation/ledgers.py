"""Ledgers for tests, and what is compared of their segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from allocation import times
from allocation.history import Segment
from allocation.ledger import HEADER, Row

CPU = "jetstream2.indiana.xsede.org"
GPU = "jetstream2-gpu.indiana.xsede.org"
START, END = date(2023, 7, 1), date(2024, 6, 30)
GRANTED = 100_000.0
BEGINS = times.day_begins(START)
ROOT = Path(__file__).resolve().parents[3]
GOOD = f"1688300000.25,{CPU},10.5,100000.0,2023-07-01,2024-06-30"
"""A line of a ledger."""


def names(directory: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in directory.iterdir())


def row(
    day: float,
    used: float,
    *,
    resource: str = CPU,
    allocated: float = GRANTED,
    start: date = START,
    end: date = END,
) -> Row:
    """A row of so many days after the allocation's start."""
    return Row(BEGINS + day * times.DAY, resource, used, allocated, start, end)


def text(rows: Iterable[Row], *, ends: str = "\n", header: bool = True) -> str:
    """A ledger as another program would write it."""
    lines = [
        f"{r.timestamp!r},{r.resource},{float(r.used)!r},{float(r.allocated)!r},{r.start},{r.end}"
        for r in rows
    ]
    return "".join(line + ends for line in ([HEADER] if header else []) + lines)


def written(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text(text(rows))
    return path


def plain(segments: Sequence[Segment]) -> list[tuple[Any, ...]]:
    """Segments as values that can be compared."""
    return [
        (s.resource, s.reason, s.starts_at, s.ends_at, s.allocated, s.times.tolist(), s.used.tolist())
        for s in segments
    ]


def figures(segments: Sequence[Segment]) -> list[tuple[str, list[float]]]:
    """Why each segment begins, and its figures."""
    return [(segment.reason, segment.used.tolist()) for segment in segments]


days = st.integers(0, 3000).map(lambda number: date.fromordinal(START.toordinal() - 1500 + number))
amounts = st.one_of(
    st.floats(0, 1e9, allow_nan=False, allow_subnormal=False), st.integers(0, 10**7).map(float)
)


@st.composite
def any_rows(draw: st.DrawFn) -> Row:
    """Rows of all kinds, related to each other or not."""
    start, end = sorted([draw(days), draw(days)])
    if draw(st.booleans()):
        start, end = START, END
    return Row(
        timestamp=draw(st.floats(0, 1.7e9, allow_nan=False)),
        resource=draw(st.sampled_from([CPU, GPU, "a"])),
        used=draw(amounts),
        allocated=draw(st.sampled_from([GRANTED, 2 * GRANTED, draw(amounts)])),
        start=start,
        end=end,
    )
