"""The file of computed burn beside a ledger: a line for each resource and moment at which it was computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from allocation import ledger_file
from allocation.ledger_file import BadLine

HEADER = "timestamp,resource,su_per_hour,servers,unknown"

_MOST = 1e12
"""What no number in the file reaches, be it a time, a burn or a count."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The burn of one resource at one moment.

    Attributes:
        timestamp: seconds since the epoch.
        resource: as the accounting API names it.
        su_per_hour: SU/h of all servers that burn it.
        servers: how many they are.
        unknown: how many servers of the project were left out, since their rate is not known.
    """

    timestamp: float
    resource: str
    su_per_hour: float
    servers: int
    unknown: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What a file of samples holds: those that can be used, in its order, and the lines that cannot."""

    rows: tuple[Sample, ...]
    bad: tuple[BadLine, ...]


def beside(ledger: Path) -> Path:
    """Where the samples of a ledger are: ``usage.computed.csv`` for ``usage.csv``."""
    return ledger.with_name(f"{ledger.stem}.computed.csv")


def append(ledger: Path, samples: Iterable[Sample]) -> None:
    """Appends samples to a ledger's file of them, which is begun if there is none.

    Raises:
        AllocationError: if it cannot be written; it is then as it was.
    """
    lines = [
        f"{sample.timestamp!r},{sample.resource},{sample.su_per_hour!r},{sample.servers},{sample.unknown}"
        for sample in samples
    ]
    if lines:
        ledger_file.append_lines(beside(ledger), lines, header=HEADER)


def read(ledger: Path) -> Samples:
    """The samples of a ledger; none if their file was never begun. Changes nothing.

    Raises:
        AllocationError: if the file cannot be read.
    """
    path = beside(ledger)
    rows: list[Sample] = []
    bad: list[BadLine] = []
    if path.exists():
        for number, line in enumerate(ledger_file.read_bytes(path).splitlines(), start=1):
            text = ledger_file.shown(line)
            if not text.strip() or text == HEADER:
                continue
            try:
                rows.append(_sample(text))
            except ValueError as reason:
                bad.append(BadLine(number, text, str(reason)))
    return Samples(rows=tuple(rows), bad=tuple(bad))


def _sample(text: str) -> Sample:
    fields = text.split(",")
    if len(fields) != HEADER.count(",") + 1:
        raise ValueError(f"has {len(fields)} fields, not {HEADER.count(',') + 1}")
    timestamp, resource, su_per_hour, servers, unknown = fields
    sample = Sample(
        timestamp=float(timestamp),
        resource=resource,
        su_per_hour=float(su_per_hour),
        servers=int(servers),
        unknown=int(unknown),
    )
    numbers = (sample.timestamp, sample.su_per_hour, sample.servers, sample.unknown)
    if not all(0 <= number <= _MOST for number in numbers):
        raise ValueError("has a number that is not finite, below 0, or too large")
    return sample
