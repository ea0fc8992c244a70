"""What nodes cost, by the settings' own word first."""

from __future__ import annotations

from allocation.rates import UnknownFlavor, su_per_hour
from stacks.settings import Settings


def own_rates(settings: Settings) -> dict[str, float]:
    """SU/h of the flavors whose price the settings tell."""
    return {name: size.su_per_hour for name, size in settings.flavors.items() if size.su_per_hour is not None}


def rate(settings: Settings, flavor: str) -> float | None:
    """What a running server of a flavor is charged, in SU/h; None where nobody knows."""
    shape = settings.shape(flavor)
    try:
        return su_per_hour(flavor, own=own_rates(settings), vcpus=None if shape is None else shape.vcpus)
    except UnknownFlavor:
        return None
