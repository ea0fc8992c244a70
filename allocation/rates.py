"""What a server costs: Service Units per hour (SU/h) by flavor and by state, as Jetstream2 charges them.

Sources: Jetstream2's documentation of its flavors (``docs/general/vmsizes.md``, February 2024) and of its
charges (``docs/general/access.md``, February 2024); where newer, the tables of Exosphere, Jetstream2's own
interface (``src/Helpers/Jetstream2.elm``, as of August 2026): GPU flavors of the family g3 cost twice their
vCPUs since 2024-07-02, before it was four times, and g4 and g5 came in July 2025. Volumes burn no compute SU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from allocation.errors import AllocationError

CPU = "jetstream2.indiana.xsede.org"
GPU = "jetstream2-gpu.indiana.xsede.org"
LARGE_MEMORY = "jetstream2-lm.indiana.xsede.org"
STORAGE = "jetstream2-storage.indiana.xsede.org"

RESOURCES: tuple[str, ...] = (CPU, GPU, LARGE_MEMORY, STORAGE)
"""The resources that the accounting API tells of. In the last, 1 SU is 1 GB."""

FAMILY_FACTORS: Mapping[str, float] = MappingProxyType(
    {"m3": 1.0, "r3": 2.0, "g3": 2.0, "g4": 7.0, "g5": 6.4}
)
"""SU/h per vCPU of an ACTIVE server, by the part of its flavor's name before the dot."""

RATES: Mapping[str, float] = MappingProxyType(
    {
        "m3.tiny": 1.0,
        "m3.small": 2.0,
        "m3.quad": 4.0,
        "m3.medium": 8.0,
        "m3.large": 16.0,
        "m3.xl": 32.0,
        "m3.2xl": 64.0,
        "m3.3xl": 128.0,
        "r3.large": 128.0,
        "r3.xl": 256.0,
        "g3.small": 8.0,
        "g3.medium": 16.0,
        "g3.large": 32.0,
        "g3.xl": 64.0,
    }
)
"""SU/h of an ACTIVE server, by flavor. Of g4 and g5 no sizes are published: their vCPUs must be known."""

STATE_FACTORS: Mapping[str, float] = MappingProxyType(
    {
        "ACTIVE": 1.0,
        "SUSPENDED": 0.75,
        "PAUSED": 0.75,
        "SHUTOFF": 0.5,
        "STOPPED": 0.5,
        "SHELVED": 0.0,
        "SHELVED_OFFLOADED": 0.0,
        "BUILD": 0.0,
        "ERROR": 0.0,
        "DELETED": 0.0,
        "SOFT_DELETED": 0.0,
        "HARD_REBOOT": 1.0,
        "MIGRATING": 1.0,
        "PASSWORD": 1.0,
        "REBOOT": 1.0,
        "REBUILD": 1.0,
        "RESCUE": 1.0,
        "RESIZE": 1.0,
        "REVERT_RESIZE": 1.0,
        "UNKNOWN": 1.0,
        "VERIFY_RESIZE": 1.0,
    }
)
"""Part of its flavor's rate that a server is charged, by its state in Nova."""

_FAMILY_RESOURCES: Mapping[str, str] = {"m3": CPU, "r3": LARGE_MEMORY, "g3": GPU, "g4": GPU, "g5": GPU}
_NONE: Mapping[str, float] = MappingProxyType({})


class UnknownFlavor(AllocationError):  # noqa: N818 (it says what is unknown)
    """A flavor whose rate is neither listed nor given."""


class UnknownState(AllocationError):  # noqa: N818 (as above)
    """A state of a server that has no known charge."""


def su_per_hour(flavor: str, *, own: Mapping[str, float] = _NONE, vcpus: int | None = None) -> float:
    """The rate of an ACTIVE server, in SU/h.

    Args:
        flavor: its name, such as ``m3.medium``.
        own: rates that the operator gives, in SU/h; they come before the listed ones.
        vcpus: its virtual CPUs, where known: an unlisted flavor of a listed family is charged by them.

    Raises:
        UnknownFlavor: if the flavor is not listed and cannot be reckoned from its family and vCPUs.
        AllocationError: if the operator's rate is negative or not a number.
    """
    if flavor in own:
        rate = own[flavor]
        if not (math.isfinite(rate) and rate >= 0):
            raise AllocationError(
                f"the rate of {flavor} is given as {rate}; give SU/h as a number, 0 or more"
            )
        return float(rate)
    if flavor in RATES:
        return RATES[flavor]
    factor = FAMILY_FACTORS.get(_family(flavor))
    if factor is None:
        raise UnknownFlavor(
            f"the rate of the flavor {flavor!r} is not known; give its SU/h under rates: in the plan"
        )
    if vcpus is None or vcpus < 1:
        raise UnknownFlavor(
            f"the rate of the flavor {flavor!r} is not known without its vCPUs "
            f"({factor:g} SU/h for each); give its SU/h under rates: in the plan"
        )
    return factor * vcpus


def state_factor(state: str) -> float:
    """The part of its flavor's rate that a server in a state is charged: between 0 and 1.

    Args:
        state: as Nova reports it, such as ``ACTIVE`` or ``SHUTOFF``.

    Raises:
        UnknownState: if the state is not one of Nova's.
    """
    try:
        return STATE_FACTORS[state.upper()]
    except KeyError:
        raise UnknownState(
            f"the charge of a server in the state {state!r} is not known; "
            f"known are {', '.join(STATE_FACTORS)}"
        ) from None


def resource_of(flavor: str) -> str | None:
    """The accounting resource that a flavor's servers burn; None if its family is not known."""
    return _FAMILY_RESOURCES.get(_family(flavor))


def flavors_of(resource: str) -> list[str]:
    """The listed flavors that burn a resource, the cheapest first."""
    return sorted((name for name in RATES if resource_of(name) == resource), key=RATES.__getitem__)


def _family(flavor: str) -> str:
    """The part of a flavor's name before its dot; empty where it has none."""
    family, dot, _ = flavor.partition(".")
    return family if dot else ""
