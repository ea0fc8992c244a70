"""Recording: today's figures of the accounting service, and today's computed burn, into the ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from keystoneauth1.session import Session

from allocation import accounting, ledger, ledger_rows, samples, servers, times
from allocation.accounting import Allocation
from allocation.errors import AllocationError
from allocation.ledger import BadLine, Row


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What was done.

    Attributes:
        rows: what went into the ledger.
        problems: what was amiss, each in one line.
        bad: lines that were found in the ledger and moved to its side file.
    """

    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    bad: tuple[BadLine, ...]


def record(
    path: Path, session: Session, *, region: str | None, now: float, own_rates: Mapping[str, float]
) -> Recorded:
    """Fetches the figures of all resources and appends a row of each; then a sample of the computed burn.

    The rows come first: whatever keeps the servers from being counted is told as a problem.

    Args:
        path: the ledger; begun if there is none.
        now: the time that the rows are given, in seconds since the epoch.
        own_rates: SU/h of flavors that ``rates`` does not know, or has wrong.

    Raises:
        AllocationError: if no resource has a figure, or none could be fetched or written; the ledger is then
            as it was.
    """
    records = accounting.fetch(session, region=region)
    current = accounting.current(records, now)
    if not current:
        raise AllocationError(
            "the accounting service knows of no allocation of this project; nothing was recorded"
        )
    rows, problems = _rows(current.values(), now)
    problems += [f"{resource}: none of Jetstream2's resources" for resource in accounting.unfamiliar(records)]
    if not rows:
        raise AllocationError("\n".join([*problems, "nothing was recorded"]))
    appended = ledger.append(path, rows, now=now)
    problems += _sample(path, session, current, region=region, now=now, own_rates=own_rates)
    return Recorded(tuple(rows), tuple(problems), appended.bad)


def _rows(current: Iterable[Allocation], now: float) -> tuple[list[Row], list[str]]:
    """The ledger's rows of allocations, and what is to be told of them."""
    rows, problems = [], []
    for found in current:
        if found.used is None:
            problems.append(
                f"{found.resource}: no row, since its use is not known to the accounting service (null)"
            )
            continue
        row = Row(now, found.resource, found.used, found.allocated, found.start, found.end)
        reason = ledger_rows.problem(row, now=now)
        if reason:
            problems.append(f"{found.resource}: no row, since the ledger cannot hold it: {reason}")
            continue
        rows.append(row)
        if not times.day_begins(found.start) <= now < times.day_ends(found.end):
            problems.append(
                f"{found.resource}: its allocation is of {found.start} to {found.end}, which is not now"
            )
    return rows, problems


def _sample(
    path: Path,
    session: Session,
    resources: Iterable[str],
    *,
    region: str | None,
    now: float,
    own_rates: Mapping[str, float],
) -> list[str]:
    """Appends a sample of the burn of the servers that run, and says what was amiss."""
    try:
        burn = servers.computed_burn(session, region=region, own_rates=own_rates)
        samples.append(path, burn.samples(resources, now=now))
    except AllocationError as error:
        return [f"the burn of the servers is not recorded: {error}"]
    return [f"the burn of a server is not counted: {server}" for server in burn.unknown]
