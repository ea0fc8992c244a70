"""Kubernetes' quantities (``500m``, ``4Gi``) as plain numbers, and sums of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

Resources = dict[str, Decimal]
"""Amounts by resource name: cores for ``cpu``, bytes for ``memory``, a count for all others."""

_FACTORS = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]?|[KMGTPE]i)$")


def parse(text: str | int | float) -> Decimal:
    """A quantity as a number.

    Raises:
        ValueError: if it is not a quantity.
    """
    match = _QUANTITY.match(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not a quantity")
    try:
        return Decimal(match[1]) * _FACTORS[match[2]]
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a quantity") from error


def parse_all(quantities: Mapping[str, str | int | float] | None) -> Resources:
    """Quantities by resource name as numbers."""
    return {name: parse(text) for name, text in (quantities or {}).items()}


def total(amounts: Iterable[Resources]) -> Resources:
    """The sum of several amounts."""
    added: Resources = {}
    for amount in amounts:
        for name, value in amount.items():
            added[name] = added.get(name, Decimal(0)) + value
    return added


def less(amount: Resources, taken: Resources) -> Resources:
    """What is left of an amount; what it does not have counts as nothing."""
    return {name: value - taken.get(name, Decimal(0)) for name, value in amount.items()}


def missing(wanted: Resources, available: Resources) -> list[str]:
    """Names of the resources of which not enough is available."""
    return [name for name, value in wanted.items() if value > available.get(name, Decimal(0))]


def maximum(amounts: Iterable[Resources]) -> Resources:
    """For each resource the largest of several amounts."""
    largest: Resources = {}
    for amount in amounts:
        for name, value in amount.items():
            largest[name] = max(value, largest.get(name, value))
    return largest


def gibibytes(size: Decimal) -> int:
    """A size in bytes as whole GiB, rounded up, at least one: what Cinder can make of it."""
    return max(1, math.ceil(size / Decimal(1024) ** 3))
