"""Faults of real clouds that can be switched on while the lab runs, by a file in its ``faults`` folder."""

from __future__ import annotations

from pathlib import Path

FAULTS = Path(__file__).resolve().parents[4] / ".lab" / "faults"

MAGNUM_RACE = "magnum-race"
"""Magnum answers before its conductor has recorded the change, as on every real cloud."""


def switched_on(name: str) -> bool:
    """Is a fault's file there now? Looked up at each call."""
    return (FAULTS / name).exists()
