"""Ledgers, segments and forecasts for tests: straight lines, so that what they mean is plain arithmetic."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from allocation import ledger, times
from allocation.forecast import Forecast, Model
from allocation.history import Reason, Segment
from allocation.ledger import Row

CPU = "jetstream2.indiana.xsede.org"
START, END = date(2026, 1, 1), date(2026, 12, 31)
NOW = times.parse_time("2026-07-01")


def segment(
    *, first: str, last: str, used: tuple[float, float], allocated: float = 100_000, reason: Reason = "first"
) -> Segment:
    """Daily figures on a straight line, of an allocation over 2026."""
    moments = np.arange(times.parse_time(first), times.parse_time(last) + 1, times.DAY)
    return Segment(
        resource=CPU,
        reason=reason,
        starts_at=times.day_begins(START),
        ends_at=times.day_ends(END),
        allocated=allocated,
        times=moments,
        used=np.linspace(*used, len(moments)),
    )


def straight(
    *, burn: float, used: float = 0, doubt: float = 0.1, now: float = NOW, model: Model = "planned"
) -> Forecast:
    """An even burn in SU/h to the end of 2026; the interval is that of ``doubt`` as a part of it."""
    moments = np.linspace(now, times.day_ends(END), 200)
    added = burn * (moments - now) / times.HOUR
    return Forecast(
        model=model,
        times=moments,
        expected=used + added,
        low=used + (1 - doubt) * added,
        high=used + (1 + doubt) * added,
        fallback=None,
    )


def write_ledger(
    path: Path,
    *,
    burn: float,
    days: int = 90,
    allocated: float = 100_000,
    resource: str = CPU,
    until: float = NOW,
) -> Path:
    """A ledger of daily figures up to a time, of an even burn in SU/h since START."""
    moments = [until - day * times.DAY for day in reversed(range(days))]
    begins = times.day_begins(START)
    ledger.append(
        path,
        [
            Row(moment, resource, burn * (moment - begins) / times.HOUR, allocated, START, END)
            for moment in moments
        ],
    )
    return path
