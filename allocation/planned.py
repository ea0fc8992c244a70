"""The planned model: what the planned nodes must burn, and what the users add to it.

Every known day is first restated as what it would have burnt under the plan asked about (``demand``), so
that a change made today counts today; the part above the floor is then told for each day ahead
(``elastic``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocation import daily, demand, history
from allocation.elastic import LEVEL_HALF_LIFE, MISMATCH_ERROR, UNKNOWN_PART, elastic
from allocation.history import Segment
from allocation.path import Path
from allocation.plan import Plan
from allocation.times import DAY, HOUR

RESTATING_ERROR = 0.4
FLOOR_ERROR = 0.05
"""Standard deviations, relative to what restating moved above the floor, and to how far the floor itself
moved. Set, as all such figures here, on synthetic allocations other than those of the benchmark."""

LAG_ERROR = 0.2
REPORT_ERROR = 0.065
"""Relative standard deviations of the reporting lag, and of one report's from the next. A lag spread evenly
over Jetstream2's 12 to 24 h has a standard deviation of 0.19 of its mean."""


def planned(segments: Sequence[Segment], now: float, plan: Plan) -> Path:
    """Expected use under the plan.

    Args:
        segments: one resource's, in order of time, none from after ``now``, at least one.
        now: seconds since the epoch.
        plan: what is known of the future; an empty one leaves all to the history.

    Raises:
        rates.UnknownFlavor: if a flavor of the plan has no rate.
    """
    curves = daily.chains(segments, plan.reporting_lag_hours * HOUR)
    known_until, used = float(curves[-1].times[-1]), float(curves[-1].used[-1])
    known, fallback = _known_days(curves, segments, plan)
    edges = _edges(known_until, now, max(segments[-1].ends_at, now), plan)
    hours = np.diff(edges) / HOUR
    pace = history.even_pace(segments[-1])
    burn = _burn(_on_one_plan(known, plan), (edges[:-1] + edges[1:]) / 2, plan, known_until, pace)
    if fallback is None and not burn.drift:
        # The level of users wanders wherever there were any.
        fallback = "no users so far" if plan.stages else "nothing used so far"
        fallback += ": none expected; the interval is a guess from what "
        fallback += "the plan leaves open" if plan.stages else "was granted"

    def summed(rate: NDArray[np.float64]) -> NDArray[np.float64]:
        # No time passes between two equal moments, not even at an unbounded rate.
        return np.concatenate([[0.0], np.cumsum(np.where(hours > 0, rate, 0.0) * hours)])

    # Days scatter each on its own (24 h at once); the rest is wrong for all of them together.
    chance = np.concatenate([[0.0], np.cumsum(burn.chance**2 * hours * DAY / HOUR)])
    days_ahead = (edges - known_until) / DAY
    wandering = summed(burn.elastic) ** 2 * (burn.level_error**2 + burn.drift**2 * days_ahead)
    timing = _timing_error(summed(burn.expected), edges - known_until, known, plan)
    spread = np.sqrt(chance + wandering + summed(burn.doubt) ** 2 + timing**2)
    ahead = edges >= now
    return Path(
        times=edges[ahead],
        expected=(used + summed(burn.expected))[ahead],
        spread=spread[ahead],
        least=(used + summed(burn.least) - 2 * timing)[ahead],
        most=(used + summed(burn.most) + 2 * timing)[ahead],
        known_until=known_until,
        fallback=fallback,
    )


def bounds_at(plan: Plan, moment: float) -> demand.Bounds:
    """Between what the plan lets the burn move at a time. Raises as ``planned``."""
    stage = plan.stage_at(moment)
    if stage is None:
        if not plan.stages:
            return demand.UNBOUNDED
        # Nothing is known of the pools before the first stage; the nodes beside them are taken as the same.
        return demand.Bounds(fixed=plan.fixed(plan.stages[0]))
    fixed = plan.fixed(stage)
    return demand.Bounds(fixed=fixed, floor=plan.floor(stage) - fixed, ceiling=plan.ceiling(stage) - fixed)


def _known_days(
    curves: Sequence[daily.Curve], segments: Sequence[Segment], plan: Plan
) -> tuple[daily.Days, str | None]:
    """The days learnt from, and what was done if there is not one whole day."""
    known = daily.days(curves)
    if len(known.day):
        return known, None
    last = curves[-1]
    day = np.array([int(last.times[-1] // DAY)], dtype=np.int64)
    seconds = float(last.times[-1] - last.times[0])
    if seconds >= HOUR:
        burn = float(last.used[-1] - last.used[0]) / (seconds / HOUR)
        return daily.Days(day=day, burn=np.array([burn])), "less than a whole day of figures: their mean burn"
    if plan.stages:
        return known, "a single figure: the planned nodes' floor"
    since = (float(last.times[-1]) - history.counted_since(segments, plan.reporting_lag_hours * HOUR)) / HOUR
    burn = float(last.used[-1]) / since if since >= 1 else 0.0
    why = f"a single figure: the mean burn since {history.counted_from(segments)}"
    return daily.Days(day=day, burn=np.array([burn])), why


def _edges(known_until: float, now: float, ends_at: float, plan: Plan) -> NDArray[np.float64]:
    """Moments between which the burn is taken as even: midnights, changes of plan, now, the end."""
    midnights = np.arange(math.ceil(known_until / DAY), math.floor(ends_at / DAY) + 1) * DAY
    changes = [stage.since for stage in plan.stages if known_until < stage.since < ends_at]
    edges = np.unique(np.concatenate([[known_until, now, ends_at], midnights, changes]))
    return edges if ends_at > now else np.append(edges, ends_at)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Burn:
    """The burn at moments ahead, each of shape (n,) in SU/h unless said otherwise.

    Attributes:
        expected: of all nodes.
        elastic: the part of it above the floor.
        least, most: between what it can move.
        chance, doubt: standard deviations, as in ``elastic.Elastic``.
        level_error, drift: relative standard deviations, the same.
    """

    expected: NDArray[np.float64]
    elastic: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    chance: NDArray[np.float64]
    doubt: NDArray[np.float64]
    level_error: float
    drift: float


def _burn(
    known: daily.Days, moments: NDArray[np.float64], plan: Plan, known_until: float, pace: float
) -> Burn:
    """The burn at moments ahead; ``pace`` (SU/h) is what the allocation was granted for."""
    seen = [bounds_at(plan, (day + 0.5) * DAY) for day in known.day]
    wanted = [bounds_at(plan, moment) for moment in moments]
    unplanned = _unplanned(known, seen, known_until)
    seen, wanted = ([_with_fixed(bounds, unplanned) for bounds in those] for those in (seen, wanted))
    day = (moments // DAY).astype(np.int64)
    arrays = {name: np.zeros(len(moments)) for name in ("expected", "least", "most", "chance", "doubt")}
    level_error = drift = 0.0
    for bounds in dict.fromkeys(wanted):
        here = np.array([other == bounds for other in wanted])
        restated = _restated(known, seen, bounds)
        room = bounds.most - bounds.least if math.isfinite(bounds.most) else pace
        part = elastic(known.day, restated - bounds.least, day, plan, today=known_until / DAY, room=room)
        expected = np.clip(bounds.least + part.burn[here], 0.0, bounds.most)
        arrays["expected"][here] = expected
        # What the plan does not know may go, or become more.
        arrays["least"][here] = np.minimum(bounds.least - unplanned, expected)
        arrays["most"][here] = bounds.most + unplanned
        arrays["chance"][here] = part.chance[here]
        doubt = math.hypot(
            _plan_doubt(known, seen, restated, bounds, known_until), MISMATCH_ERROR * unplanned
        )
        arrays["doubt"][here] = np.hypot(doubt, part.doubt[here])
        level_error, drift = max(level_error, part.level_error), max(drift, part.drift)
    return Burn(**arrays, elastic=arrays["expected"] - arrays["least"], level_error=level_error, drift=drift)


def _unplanned(known: daily.Days, seen: Sequence[demand.Bounds], known_until: float) -> float:
    """SU/h beyond all that the plan's nodes can burn: servers that it does not have, or rates too low.

    The median of the recent days under a plan, so that a day on which the figures of another plan came late
    does not pass for servers.
    """
    planned_days = np.array([math.isfinite(bounds.most) for bounds in seen], dtype=bool)
    if not planned_days.any():
        return 0.0
    beyond = (known.burn - np.array([bounds.most for bounds in seen]))[planned_days]
    order = np.argsort(beyond)
    age = known_until / DAY - known.day[planned_days][order]
    weight = np.cumsum(0.5 ** (age / LEVEL_HALF_LIFE))
    return max(0.0, float(beyond[order][np.searchsorted(weight, weight[-1] / 2)]))


def _with_fixed(bounds: demand.Bounds, more: float) -> demand.Bounds:
    """Bounds with more SU/h of nodes that always run."""
    return dataclasses.replace(bounds, fixed=bounds.fixed + more) if more else bounds


def _on_one_plan(known: daily.Days, plan: Plan) -> daily.Days:
    """The days within which the plan did not change, if there are any."""
    changes = np.array([stage.since for stage in plan.stages])
    begins = known.day * DAY
    whole = np.searchsorted(changes, begins, "right") == np.searchsorted(changes, begins + DAY, "left")
    return daily.Days(day=known.day[whole], burn=known.burn[whole]) if whole.any() else known


def _restated(known: daily.Days, seen: Sequence[demand.Bounds], wanted: demand.Bounds) -> NDArray[np.float64]:
    restated = np.empty(len(known.day))
    for bounds in dict.fromkeys(seen):
        there = np.array([other == bounds for other in seen])
        restated[there] = demand.restated(known.burn[there], bounds, wanted)
    return restated


def _plan_doubt(
    known: daily.Days,
    seen: Sequence[demand.Bounds],
    restated: NDArray[np.float64],
    wanted: demand.Bounds,
    known_until: float,
) -> float:
    """Standard deviation in SU/h from never having seen this plan at work, as far as recent days have not."""
    if not seen:
        return UNKNOWN_PART * (wanted.most - wanted.least) if math.isfinite(wanted.most) else 0.0
    recent = 0.5 ** ((known_until / DAY - known.day) / LEVEL_HALF_LIFE)
    floors = np.array([bounds.floor for bounds in seen])
    above_before = known.burn - np.array([bounds.least for bounds in seen])
    moved = np.abs(restated - wanted.least - above_before)
    return float(
        np.average(RESTATING_ERROR * moved + FLOOR_ERROR * np.abs(floors - wanted.floor), weights=recent)
    )


def _timing_error(
    burnt: NDArray[np.float64], ahead: NDArray[np.float64], known: daily.Days, plan: Plan
) -> NDArray[np.float64]:
    """Standard deviation in SU at each edge from not knowing just how late the figures are.

    A wrong lag moves what was burnt before the last figure from the old rate to the new one; besides, reports
    come earlier one day and later the next.

    Args:
        burnt: SU expected between the last figure and each edge.
        ahead: seconds between the last figure and each edge, the first of them 0.
    """
    lag = plan.reporting_lag_hours
    if not lag or not len(known.burn):
        return np.zeros(len(ahead))
    before = float(known.burn[-3:].mean())
    mean_ahead = np.divide(burnt, ahead / HOUR, out=np.full(len(ahead), before), where=ahead > 0)
    return np.asarray(
        np.hypot(LAG_ERROR * lag * np.abs(mean_ahead - before), REPORT_ERROR * lag * mean_ahead)
    )
