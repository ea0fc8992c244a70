"""``python -m lab clock`` and ``python -m lab accounting``: setting them, and what they print."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from lab.accounting import books, clock, faults, meter
from lab.accounting.books import Allocation, Books
from lab.accounting.faults import Fault
from lab.accounting.openstack import Cloud
from lab.errors import LabError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]


def show_clock(
    jump: Annotated[str | None, typer.Option(help="Put it ahead by a time such as 60d, 12h or 30m.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, max=1e6, help="Seconds it goes per real second; 0 stops it.")
    ] = None,
    reset: Annotated[
        bool,
        typer.Option("--reset", help="Back to the real time; usage and allocation begin anew as well."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show or set the accounting's clock. Servers burn SU through a jump as they stand."""
    if sum((jump is not None, speed is not None, reset)) > 1:
        raise LabError("--jump, --speed and --reset are three commands. Give one at a time.")
    if jump is not None:
        found = meter.jump(Cloud(), clock.parse_duration(jump))
    elif speed is not None:
        found = meter.speed(speed)
    elif reset:
        found = meter.reset(Cloud())
    else:
        found = books.load()
    now = found.clock.at(time.time())
    if as_json:
        shown = {"now": now, "utc": _utc(now), "speed": found.clock.speed}
        print(json.dumps(shown, indent=1))
    else:
        ahead = (now - time.time()) / clock.DAY
        print(f"{_utc(now)}, {ahead:.2f} days ahead of the real time, {found.clock.speed:g} s per second")


def show_accounting(
    allocated: Annotated[
        float | None, typer.Option(min=0, max=1e12, help="SU granted of each resource.")
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day. Another one renews: usage begins at 0."),
    ] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = None,
    fault: Annotated[
        Fault | None, typer.Option(help="What goes wrong with the answers from now on; none ends it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or set the allocation, and switch the accounting service's faults."""
    found = books.load()
    if not (allocated is None and start is None and end is None):
        old = found.allocation
        found = meter.grant(
            Allocation(
                allocated=old.allocated if allocated is None else allocated,
                start=_day(start, old.start),
                end=_day(end, old.end),
            )
        )
    if fault is not None:
        faults.switch(fault)
    shown = _as_dict(found)
    if as_json:
        print(json.dumps(shown, indent=1))
        return
    print(f"{shown['allocated']:g} SU from {shown['start']} through {shown['end']}; fault: {shown['fault']}")
    for resource, used in shown["used"].items():
        print(f"{resource}: {used:.3f} SU used, {shown['burn'][resource]:g} SU/h")
    for flavor in shown["unknown"]:
        print(f"not counted, since its rate is not known: {flavor}")


def _as_dict(found: Books) -> dict[str, Any]:
    now = found.clock.at(time.time())
    return {
        "now": now,
        "allocated": found.allocation.allocated,
        "start": found.allocation.start.isoformat(),
        "end": found.allocation.end.isoformat(),
        "fault": str(faults.read()),
        "used": {resource: found.used(resource, now) for resource in sorted(found.meters)},
        "burn": {resource: found.burn(resource) for resource in sorted(found.meters)},
        "unknown": list(found.unknown),
    }


def _day(given: datetime | None, otherwise: date) -> date:
    return given.date() if given else otherwise


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
