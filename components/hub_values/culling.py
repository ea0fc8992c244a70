"""When unused servers are stopped."""

from __future__ import annotations

from components.hub_values import Values

EVERY_SECONDS = 600
"""How often the culler looks."""


def culling_values(*, idle_minutes: int, max_age_hours: int) -> Values:
    """Stops idle servers, and any server that is too old: an image may count an open desktop as activity."""
    return {
        "cull": {
            "enabled": True,
            "timeout": idle_minutes * 60,
            "every": EVERY_SECONDS,
            "maxAge": max_age_hours * 3600,
        }
    }
