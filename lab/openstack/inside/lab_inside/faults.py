"""Faults of real clouds that can be switched on while the lab runs, by a file in its ``faults`` folder."""

from __future__ import annotations

from pathlib import Path

FAULTS = Path(__file__).resolve().parents[4] / ".lab" / "faults"

MAGNUM_RACE = "magnum-race"
"""Magnum answers before its conductor has recorded the change, as on every real cloud."""


def switched_on(name: str, *, cluster: str | None) -> bool:
    """Is a fault's file there now, and for this cluster? Looked up at each call.

    Args:
        name: the fault's, and its file's.
        cluster: name of the cluster that an operation is about, if that is known. A file that names one
            counts for that one alone; an empty file for all.
    """
    try:
        about = (FAULTS / name).read_text().strip()
    except FileNotFoundError:
        return False
    return about in ("", cluster)
