"""What a forecast means for the allocation: enough or not, until when, and how many nodes that is. Pure.

The SU delta and the break-even burn rate are those of the Unidata gateway's ``usage_monitoring.py``:
``break_even = (allocated - used) / hours left`` and ``delta = (break_even - burn) * hours left``; a reserve,
SU that shall be left at the end, counts as not allocated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import numpy as np

from allocation import times
from allocation.errors import AllocationError
from allocation.forecast import Forecast, Model

Level = Literal["within", "warning", "over"]
"""Enough even in the bad case of the 80 % interval; only if things go as expected; not even then. An
allocation that has ended is never enough: what is left of it cannot be used, and its servers go."""

STATUS: Mapping[Level, int] = {"within": 0, "warning": 3, "over": 4}
"""Exit status by level."""

_UNIT = "m3.medium"
"""The flavor that the original counts in."""

_WORDS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a forecast means for the allocation.

    Attributes:
        model: which model's forecast it judges.
        level: ``within``, ``warning`` or ``over``.
        su_delta: SU left over (+) or short (-) at the end, beyond the reserve.
        su_delta_low, su_delta_high: its 80 % interval.
        runs_dry_at: when the SU but the reserve are used up, UTC; None if they last to the end.
        burn_su_per_hour: expected mean burn rate from now to the end.
        break_even_su_per_hour: the burn rate that would use up all but the reserve exactly at the end;
            negative if more is used already.
        nodes: by flavor, how many may be added (+) or must go (-), from now to the end. Flavors that cost
            nothing are left out.
        sentence: all that in words.
        fallback: what the model did instead, and why, if it could not be fitted.
    """

    model: Model
    level: Level
    su_delta: float
    su_delta_low: float
    su_delta_high: float
    runs_dry_at: datetime | None
    burn_su_per_hour: float
    break_even_su_per_hour: float
    nodes: Mapping[str, int]
    sentence: str
    fallback: str | None


def verdict(
    forecast: Forecast, *, allocated: float, rates: Mapping[str, float], reserve_su: float = 0
) -> Verdict:
    """Judges a forecast.

    Args:
        forecast: from now to the allocation's end.
        allocated: SU granted.
        rates: SU/h by flavor, for which nodes are counted. The sentence counts m3.medium if it is there,
            else the first.
        reserve_su: SU that shall be left at the end.

    Raises:
        AllocationError: if a number is not one from 0 up.
    """
    for name, number in {"allocated": allocated, "reserve_su": reserve_su, **rates}.items():
        if not (math.isfinite(number) and number >= 0):
            raise AllocationError(f"{name} is {number}; it must be a number from 0 up")
    budget = allocated - reserve_su
    used, at_end = float(forecast.expected[0]), float(forecast.expected[-1])
    hours = float(forecast.times[-1] - forecast.times[0]) / times.HOUR
    su_delta = budget - at_end
    su_delta_low, su_delta_high = budget - float(forecast.high[-1]), budget - float(forecast.low[-1])
    level: Level = "over" if su_delta < 0 else "warning" if su_delta_low < 0 or not hours else "within"
    runs_dry_at = _runs_dry_at(forecast, budget)
    judged = Verdict(
        model=forecast.model,
        level=level,
        su_delta=su_delta,
        su_delta_low=su_delta_low,
        su_delta_high=su_delta_high,
        runs_dry_at=times.utc(runs_dry_at) if runs_dry_at is not None else None,
        burn_su_per_hour=(at_end - used) / hours if hours else 0.0,
        break_even_su_per_hour=(budget - used) / hours if hours else 0.0,
        nodes={flavor: _nodes(su_delta, rate * hours) for flavor, rate in rates.items() if rate > 0},
        sentence="",
        fallback=forecast.fallback,
    )
    ends_at = float(forecast.times[-1])
    sentence = (
        _sentence(judged, ends_at, left=budget - used, reserve_su=reserve_su) if hours else _epitaph(su_delta)
    )
    return dataclasses.replace(judged, sentence=sentence)


def as_json(judged: Verdict) -> dict[str, object]:
    """The verdict as JSON knows it: SU, SU/h, times in ISO 8601 with Z."""
    dry = judged.runs_dry_at
    return {
        "su_delta": judged.su_delta,
        "su_delta_low": judged.su_delta_low,
        "su_delta_high": judged.su_delta_high,
        "runs_dry_at": f"{dry:%Y-%m-%dT%H:%M:%SZ}" if dry else None,
        "burn_su_per_hour": judged.burn_su_per_hour,
        "break_even_su_per_hour": judged.break_even_su_per_hour,
        "nodes": dict(judged.nodes),
        "level": judged.level,
        "sentence": judged.sentence,
        "fallback": judged.fallback,
    }


def _nodes(su_delta: float, cost: float) -> int:
    """Nodes that cost so many SU each to the end: as many as fit in, or as must go. 0 if no time is left."""
    if cost <= 0:
        return 0
    count = su_delta / cost
    # What floating point leaves of exactly two nodes shall not count as three.
    nearest = round(count)
    return nearest if math.isclose(count, nearest, rel_tol=1e-9, abs_tol=1e-9) else math.floor(count)


def _runs_dry_at(forecast: Forecast, budget: float) -> float | None:
    """When the expected use passes the budget, in seconds since the epoch; on a straight line in between."""
    after = int(np.searchsorted(forecast.expected, budget, side="right"))
    if after == len(forecast.expected):
        return None
    if after == 0:
        return float(forecast.times[0])
    start, end = (float(moment) for moment in forecast.times[after - 1 : after + 1])
    below, above = (float(used) for used in forecast.expected[after - 1 : after + 1])
    return start + (end - start) * (budget - below) / (above - below)


def _sentence(judged: Verdict, ends_at: float, *, left: float, reserve_su: float) -> str:
    """The verdict in words.

    Args:
        ends_at: the moment the allocation's last day is over, in seconds since the epoch.
        left: SU but the reserve that are left now; below 0 if more is used.
    """
    last_day = times.utc(ends_at - 1).date()
    low, high = judged.su_delta_low, judged.su_delta_high
    if judged.runs_dry_at is None:
        beyond = f" beyond the reserve of {_su(reserve_su)}" if reserve_su else ""
        doubt = ", but may run short" if low < 0 else ""
        spare = f"{_su(judged.su_delta)} SU to spare{beyond}"
        return f"Lasts to {last_day} with {spare}{doubt} ({_range(low, high)})."
    short = f"{_su(-judged.su_delta)} SU short ({_range(-high, -low)})."
    if left < 0:
        used_up = f"All but the reserve of {_su(reserve_su)} SU is" if reserve_su else "All SU are"
        return f"{used_up} used up, and {_su(-left)} SU more; {short[:-1]} by {last_day}."
    days = int((ends_at - judged.runs_dry_at.timestamp()) / times.DAY)
    early = "less than a day early" if days == 0 else "1 day early" if days == 1 else f"{days:,} days early"
    runs_out = "Runs into the reserve" if reserve_su else "Runs dry"
    return f"{runs_out} on {judged.runs_dry_at:%Y-%m-%d}, {early}: {short}{_cure(judged.nodes)}"


def _epitaph(su_delta: float) -> str:
    """The verdict on an allocation that has no time left."""
    return (
        f"Has ended {_su(-su_delta)} SU short."
        if su_delta < 0
        else f"Has ended with {_su(su_delta)} SU to spare, which cannot be used any more; renew it."
    )


def _cure(nodes: Mapping[str, int]) -> str:
    """How many nodes fewer would do, of the flavor that the original counts in or else the first."""
    flavor = _UNIT if _UNIT in nodes else next(iter(nodes), None)
    fewer = -nodes[flavor] if flavor else 0
    if fewer <= 0:
        return ""
    number = _WORDS[fewer] if fewer < len(_WORDS) else f"{fewer:,}"
    return f" {number} {flavor} fewer would hold it."


def _range(low: float, high: float) -> str:
    return f"80 %: {_su(low)} to {_su(high)}"


def _su(number: float) -> str:
    """SU as people read them: whole, but below 10 with a tenth."""
    tenths = round(number, 1) + 0.0  # of -0.0 it makes 0.0
    return f"{tenths:,.0f}" if abs(tenths) >= 10 or not tenths else f"{tenths:.1f}"
