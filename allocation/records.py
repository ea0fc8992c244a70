"""The accounting service's records: what each must hold, and what is wrong with one that does not."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from allocation.errors import AllocationError

YEARS = range(2000, 2200)
"""A date outside of these is a slip, not an allocation's."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """One record: what a project was granted of a resource for some time, and what it used of that.

    Attributes:
        resource: such as ``jetstream2.indiana.xsede.org``; others than the known ones may come.
        used: SU, 0 or more; None while the service has no figure.
        allocated: SU, 0 or more.
        start, end: its first and last day (UTC), both of them part of it.
        active: whether the service says it is.
        description: as the service has it, such as the project's number.
    """

    resource: str
    used: float | None
    allocated: float
    start: date
    end: date
    active: bool
    description: str


class _UnfitError(ValueError):
    """Why a record cannot be taken: the field, its value, and what it should have been."""


def parse(body: bytes, *, source: str) -> list[Allocation]:
    """The records in an answer of the accounting service, in its order.

    Args:
        body: JSON, a list of objects.
        source: who sent it, as messages name it.

    Raises:
        AllocationError: if it is not JSON or no such list, or if one record is not as it must be: then none
            is taken, since a service with one wrong figure may have others.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        found = "a web page (HTML)" if body.lstrip()[:1] == b"<" else "something else"
        raise AllocationError(
            f"{source} should send JSON but sends {found}; check that the address is the accounting service's"
        ) from None
    if not isinstance(answer, list):
        raise AllocationError(
            f"{source} should send a list of allocations but sends {_shown(answer)}; "
            "check that the address is the accounting service's"
        )
    found_records = []
    for number, raw in enumerate(answer, start=1):
        try:
            found_records.append(_record(raw))
        except _UnfitError as reason:
            named = raw.get("resource") if isinstance(raw, dict) else None
            of = f" ({_shown(named)})" if named else ""
            raise AllocationError(
                f"{source} sends a record that cannot be right: number {number}{of}: {reason}; nothing was "
                "taken from this answer; try again later, and tell the cloud's support if it stays so"
            ) from None
    return found_records


def _record(raw: Any) -> Allocation:
    if not isinstance(raw, dict):
        raise _UnfitError(f"it is {_shown(raw)}, not an object")
    _text(raw, "abstract")
    record = Allocation(
        resource=_resource(raw),
        used=None if _field(raw, "service_units_used") is None else _units(raw, "service_units_used"),
        allocated=_units(raw, "service_units_allocated"),
        start=_day(raw, "start_date"),
        end=_day(raw, "end_date"),
        active=_flag(raw, "active"),
        description=_text(raw, "description"),
    )
    if record.end < record.start:
        raise _UnfitError(f"end_date {record.end} is before start_date {record.start}")
    return record


def _field(raw: Mapping[str, Any], key: str) -> Any:
    if key not in raw:
        raise _UnfitError(f"{key} is missing")
    return raw[key]


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = _field(raw, key)
    if not isinstance(value, str):
        raise _UnfitError(f"{key} is {_shown(value)}, not text")
    return value


def _resource(raw: Mapping[str, Any]) -> str:
    value = _text(raw, "resource")
    if not value.strip() or not value.isprintable():
        raise _UnfitError(f"resource is {_shown(value)}, not a name such as jetstream2.indiana.xsede.org")
    return value


def _units(raw: Mapping[str, Any], key: str) -> float:
    value = _field(raw, key)
    # JSON's true is a number to Python.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnfitError(f"{key} is {_shown(value)}, not a number of SU")
    try:
        units = float(value)
    except OverflowError:
        units = math.inf
    if not math.isfinite(units) or units < 0:
        raise _UnfitError(f"{key} is {_shown(value)}, not a number of SU from 0 up")
    return units


def _flag(raw: Mapping[str, Any], key: str) -> bool:
    value = _field(raw, key)
    if isinstance(value, bool) or value not in (0, 1):
        raise _UnfitError(f"{key} is {_shown(value)}, not 0 or 1")
    return bool(value)


def _day(raw: Mapping[str, Any], key: str) -> date:
    """A day in UTC. Exosphere takes a time of day with it, so the service may send one."""
    value = _text(raw, key)
    try:
        moment = datetime.fromisoformat(value)
        day = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        raise _UnfitError(f"{key} is {_shown(value)}, not a date such as 2026-08-24") from None
    if day.year not in YEARS:
        raise _UnfitError(f"{key} is {_shown(value)}, not between {YEARS[0]} and {YEARS[-1]}")
    return day


def _shown(value: Any) -> str:
    """A value as messages show it: on one line, and not too long."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    try:
        text = json.dumps(value)
    except ValueError:  # an integer with more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
