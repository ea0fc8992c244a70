"""What the service answers: the records of the real API, or what a fault makes of them. Pure."""

from __future__ import annotations

import dataclasses
import json

from lab.accounting.books import LAG, Allocation, Books, day
from lab.accounting.faults import Fault
from lab.accounting.rates import CPU


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer: status, content type and text."""

    status: int
    text: str
    type: str = "application/json"


MAINTENANCE = Answer(
    status=200,
    type="text/html",
    text="<!DOCTYPE html>\n<html><head><title>Jetstream2</title></head>"
    "<body><h1>Scheduled maintenance</h1></body></html>\n",
)


def refusal(status: int, reason: str) -> Answer:
    """An answer without records."""
    return Answer(status=status, text=json.dumps({"error": {"code": status, "message": reason}}))


def allocations(books: Books, now: float, fault: Fault) -> Answer:
    """The answer to a project's own token.

    Args:
        books: the service's.
        now: what the lab's clock shows, seconds since the epoch.
        fault: the one that is switched on. A slow answer is slow in the sending, not here.
    """
    if fault is Fault.SERVER_ERROR:
        return refusal(503, "The accounting database is not available.")
    if fault is Fault.HTML:
        return MAINTENANCE
    time = now - LAG if fault is Fault.LAG else now
    records: list[dict[str, object]] = [
        _record(CPU, books.past, books.past.used, active=False),
        *(
            _record(resource, books.allocation, books.used(resource, time), active=_is_active(books, now))
            for resource in sorted(books.meters)
        ),
    ]
    for record in records:
        if fault is Fault.NULL:
            record["service_units_used"] = None
        elif fault is Fault.WRONG_TYPE:
            record["service_units_used"] = f"{record['service_units_used']} SUs"
    return Answer(status=200, text=json.dumps(records))


def _record(resource: str, allocation: Allocation, used: float, *, active: bool) -> dict[str, object]:
    return {
        "description": "The gateway of the rehearsal cloud",
        "abstract": "Service Units of servers in the lab's project",
        "service_units_allocated": allocation.allocated,
        "service_units_used": used,
        "start_date": allocation.start.isoformat(),
        "end_date": allocation.end.isoformat(),
        "resource": resource,
        "active": int(active),
    }


def _is_active(books: Books, now: float) -> bool:
    return books.allocation.start <= day(now) <= books.allocation.end
