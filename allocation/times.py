"""Times of the ledger and of allocations: seconds since the epoch, always in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from allocation.errors import AllocationError

HOUR = 3600.0
"""Seconds in an hour."""

DAY = 86400.0
"""Seconds in a day; days are UTC days, which all have this length."""

YEARS = range(1970, 3000)
"""The years that times are of: later ones run out of the calendar when an allocation is added to them."""


def parse_time(text: str) -> float:
    """A time as users write it, in seconds since the epoch.

    Args:
        text: ISO 8601, such as ``2026-08-24`` (its first moment), ``2026-08-24T13:00`` (UTC unless it says
            otherwise) or ``2026-08-24T07:00-06:00``.

    Raises:
        AllocationError: if it is not such a time, or not within ``YEARS``.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AllocationError(
            f"{text!r} is not a time; write one such as 2026-08-24 or 2026-08-24T13:00Z"
        ) from None
    if moment.year not in YEARS:
        raise AllocationError(f"{text!r} is not in the years {YEARS[0]} to {YEARS[-1]}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def utc(seconds: float) -> datetime:
    """A time of the ledger as a date and clock time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def day_begins(day: date) -> float:
    """The first moment of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def day_ends(day: date) -> float:
    """The moment a day in UTC is over: an allocation may be used through all of its last day."""
    return day_begins(day + timedelta(days=1))
