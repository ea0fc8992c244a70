"""What can be made to go wrong with the service's answers."""

from __future__ import annotations

import enum

from lab import paths

FILE = paths.STATE / "faults" / "accounting"

SLOW = 45.0
"""Seconds a slow answer takes: longer than clients should wait."""


class Fault(enum.StrEnum):
    """Faults as they are known of Jetstream2's service, or of whatever stands before it."""

    NONE = "none"
    SERVER_ERROR = "5xx"
    LAG = "lag"
    NULL = "null"
    WRONG_TYPE = "wrong-type"
    SLOW = "slow"
    HTML = "html"


def read() -> Fault:
    """The fault that is switched on; a file that names none switches none on."""
    try:
        return Fault(FILE.read_text().strip())
    except (FileNotFoundError, ValueError):
        return Fault.NONE


def switch(fault: Fault) -> None:
    """Switches a fault on in place of the one before, or with ``none`` off. In force at the next request."""
    if fault is Fault.NONE:
        FILE.unlink(missing_ok=True)
    else:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(f"{fault}\n")
