"""Kinds of day: what the operator's calendar says of each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from allocation.plan import Period

KINDS = ("class", "ordinary", "break")
CLASS, ORDINARY, BREAK = range(3)

EPOCH = date(1970, 1, 1)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Kinds:
    """The kind of each day of some.

    Attributes:
        kind: shape (n,), index into ``KINDS``.
        level: shape (n,), relative to a class day as the operator says; NaN where the history is to tell.
    """

    kind: NDArray[np.int64]
    level: NDArray[np.float64]


def kinds(periods: Sequence[Period], day: NDArray[np.int64]) -> Kinds:
    """What the calendar says of days, given in days since the epoch. Without any period all days are
    alike."""
    kind = np.full(len(day), ORDINARY if periods else CLASS, dtype=np.int64)
    level = np.full(len(day), math.nan)
    for period in periods:
        within = (day >= (period.first - EPOCH).days) & (day <= (period.last - EPOCH).days)
        kind[within] = KINDS.index(period.kind)
        level[within] = math.nan if period.level is None else period.level
    return Kinds(kind=kind, level=level)


def weekday(day: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 for Monday to 6 for Sunday; the epoch began on a Thursday."""
    return (day + 3) % 7


def another_period(kind: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the kind of day has changed since the first of these days."""
    return np.asarray(np.cumsum(np.diff(kind, prepend=kind[:1]) != 0) > 0)
