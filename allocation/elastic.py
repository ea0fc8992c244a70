"""The part of the burn that follows the users: learnt from known days, told for days ahead.

    burn above the floor = level × usual(kind of day, weekday) × growth

``usual`` is a Poisson regression with logarithmic link (statsmodels GLM; quasi-likelihood, since only the
mean matters) with a long memory, held to mild prior expectations where the history has not seen a kind of
day yet. ``level`` is the ratio of recent days to it, with a short memory. ``growth`` is a trend of that
ratio (weighted least squares), shrunk by its own uncertainty and fading out.
"""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
from numpy.typing import NDArray

from allocation.day_kinds import BREAK, CLASS, KINDS, ORDINARY, Kinds, another_period, kinds, weekday
from allocation.plan import Plan

PATTERN_HALF_LIFE = 180.0
LEVEL_HALF_LIFE = 14.0
SCATTER_HALF_LIFE = 60.0
TREND_HALF_LIFE = 60.0
"""Days after which a day counts half: for the pattern, the level, the scatter about them, the trend."""

EXPECTED_OF_KIND = np.array([1.0, 0.4, 0.2])
"""Use on a class, ordinary and break day, relative to a class day, until the history tells: rules of
thumb."""

KIND_PRIOR_DAYS = 4.0
WEEKDAY_PRIOR_DAYS = 0.5
"""How many days of history these expectations, and that of weekdays being alike, weigh."""

LEAST_TELLING_LEVEL = 0.1
"""How busy the operator must expect a day to be, for its burn to tell the level today."""

TREND_NEEDS_DAYS = 90
TREND_FADES_DAYS = 30.0
"""A trend needs this much history, half of its days known, and fades with this time constant: on a real term,
a trend from fewer days made forecasts worse (docs/allocation.md has the figures)."""

DRIFT = 0.025
USUAL_SCATTER = 0.2
KIND_ERROR = 0.5
PERIOD_ERROR = 0.2
"""Relative standard deviations: of the level's wandering over a day, in a history whose days scatter by
``USUAL_SCATTER``; of the use on a kind of day never seen; of one term or break from the next. Set on
synthetic allocations other than those of the benchmark."""

TREND_PULLS = 0.25
"""What is used more on a day long ago makes a trend fall, and so the use expected ahead; by about this part
of it at most, lest more use leave a larger surplus. A quarter, as the trend's shrinking and its exponent can
double it, and the weekday's pattern takes as much again."""

MISMATCH_ERROR = 0.15
"""Standard deviation, relative, of a burn that the plan rules out and that goes on all the same; set as the
others."""

UNKNOWN_PART = 0.25
"""Without any history of use, the standard deviation of the burn as a part of what is left open."""

IDLE_PART = 0.001
"""Use below this part of what could be used is none."""

STEADY = 0.1
"""However steady the days were, the level is taken to wander this part of ``DRIFT``."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Elastic:
    """The burn above the floor on days ahead, each of shape (n,) in SU/h unless said otherwise.

    Attributes:
        burn: expected; below zero if the recent burn was below the floor.
        chance: standard deviation of a single day from that.
        doubt: standard deviation of all days of such a kind together, as the history has not shown them.
        level_error: relative standard deviation of the level today.
        drift: relative standard deviation by which the level wanders within a day.
    """

    burn: NDArray[np.float64]
    chance: NDArray[np.float64]
    doubt: NDArray[np.float64]
    level_error: float
    drift: float


def elastic(
    day: NDArray[np.int64],
    above: NDArray[np.float64],
    ahead: NDArray[np.int64],
    plan: Plan,
    *,
    today: float,
    room: float,
) -> Elastic:
    """The burn above the floor on days ahead.

    Args:
        day, above: shape (n,), known days and their burn above the floor, SU/h.
        ahead: shape (m,), the days asked about. Days are counted from the epoch.
        plan: for its calendar.
        today: where the known days end, in days since the epoch.
        room: SU/h that users could burn, as far as the plan or else the allocation's size tells.
    """
    nothing = np.zeros(len(ahead))
    if not len(day):
        return Elastic(burn=nothing, chance=nothing, doubt=nothing, level_error=0.0, drift=0.0)
    age = np.asarray(today - day, dtype=np.float64)
    recent = _halving(age, LEVEL_HALF_LIFE)
    # Burning less than the plan's floor means the plan says too much; the difference is kept, not hidden.
    short = float(np.average(np.minimum(above, 0.0), weights=recent))
    above = np.maximum(above, 0.0)
    past, future = kinds(plan.calendar, day), kinds(plan.calendar, ahead)
    used = float(np.average(above, weights=recent))
    if used < IDLE_PART * room or above.sum() <= 0:
        # A quiet past does not tell how much users burn once they come.
        unknown = UNKNOWN_PART * room * _guessed(past, future)
        doubt = np.hypot(unknown, MISMATCH_ERROR * short)
        return Elastic(burn=nothing + short + used, chance=nothing, doubt=doubt, level_error=0.0, drift=0.0)
    pattern = _pattern(day, above, past, _halving(age, PATTERN_HALF_LIFE))
    # On days that are to be all but idle, what burns tells nothing of how busy users are: their own kind of
    # day explains them, not what the operator expected.
    idle = past.level < LEAST_TELLING_LEVEL
    usual = _usual(pattern, day, dataclasses.replace(past, level=np.where(idle, math.nan, past.level)))
    level = float((recent * above).sum() / (recent * usual).sum())
    usual *= level
    burn = level * _usual(pattern, ahead, future)
    burn *= _growth(age, above / usual, usual, np.asarray(ahead - today, dtype=np.float64), burn)

    weights = _halving(age, SCATTER_HALF_LIFE)
    # More users scatter more, in proportion to the root of their number.
    scatter = float(np.average((above - usual) ** 2 / usual, weights=weights))
    relative = math.sqrt(float(np.average((above / usual - 1) ** 2, weights=weights * usual)))
    return Elastic(
        burn=short + burn,
        chance=np.sqrt(scatter * burn),
        doubt=np.hypot(_doubt(past, future) * burn, MISMATCH_ERROR * short),
        level_error=math.sqrt(scatter * float((recent**2 * usual).sum())) / float((recent * usual).sum()),
        drift=DRIFT * min(1.0, max(STEADY, relative / USUAL_SCATTER)),
    )


def _halving(age: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """What days of an age (days) weigh."""
    return np.asarray(0.5 ** (age / half_life), dtype=np.float64)


def _rows(day_of_week: NDArray[np.int64], kind: NDArray[np.int64]) -> NDArray[np.float64]:
    """The regression's columns: one, the kinds but class, the weekdays but Monday."""
    return np.column_stack(
        [
            np.ones(len(kind)),
            kind == ORDINARY,
            kind == BREAK,
            *(day_of_week == number for number in range(1, 7)),
        ]
    ).astype(float)


def _pattern(
    day: NDArray[np.int64], above: NDArray[np.float64], past: Kinds, weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The regression's coefficients. Prior expectations take part as days of their own, of little weight."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    class_day = float((weight * above).sum() / (weight * EXPECTED_OF_KIND[past.kind]).sum())
    prior_kind = np.concatenate([np.arange(len(KINDS)), np.full(7, CLASS)])
    prior_weekday = np.concatenate([np.ones(len(KINDS), dtype=np.int64), np.arange(7)])
    prior_weight = np.repeat([KIND_PRIOR_DAYS, WEEKDAY_PRIOR_DAYS], [len(KINDS), 7])
    model = sm.GLM(
        np.concatenate([above, class_day * EXPECTED_OF_KIND[prior_kind]]),
        np.vstack([_rows(weekday(day), past.kind), _rows(prior_weekday, prior_kind)]),
        family=sm.families.Poisson(),
        freq_weights=np.concatenate([weight, prior_weight]),
    )
    with warnings.catch_warnings():
        # A gateway that burns the same every day is fitted perfectly, which is no trouble here.
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        fit = model.fit(maxiter=50, tol=1e-6)
    return np.asarray(fit.params, dtype=np.float64)


def _usual(pattern: NDArray[np.float64], day: NDArray[np.int64], known: Kinds) -> NDArray[np.float64]:
    """What the pattern says of days; where the operator said how busy they are, that counts."""
    given = ~np.isnan(known.level)
    usual = np.exp(_rows(weekday(day), np.where(given, CLASS, known.kind)) @ pattern)
    return np.asarray(np.where(given, np.maximum(np.nan_to_num(known.level), 1e-3), 1.0) * usual)


def _growth(
    age: NDArray[np.float64],
    ratio: NDArray[np.float64],
    weight: NDArray[np.float64],
    ahead: NDArray[np.float64],
    burn: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What the trend multiplies the days ahead by.

    Args:
        age: shape (n,), days.
        ratio: shape (n,), the burn of those days relative to what the level has them burn.
        weight: shape (n,), what the level has them burn, SU/h.
        ahead: shape (m,), days from today.
        burn: shape (m,), SU/h on the days ahead without a trend.
    """
    if age[0] - age[-1] < TREND_NEEDS_DAYS or len(age) < TREND_NEEDS_DAYS / 2:
        return np.ones(len(ahead))
    import statsmodels.api as sm

    fresh = _halving(age, TREND_HALF_LIFE)
    fit = sm.WLS(ratio, sm.add_constant(-age), weights=weight * fresh).fit()
    slope, error = float(fit.params[1]), float(fit.bse[1])
    if not slope:
        return np.ones(len(ahead))
    # Twice its standard error halves it: most slopes of this size are chance.
    slope *= slope**2 / (slope**2 + 4 * error**2)
    faded = TREND_FADES_DAYS * (1 - np.exp(-np.maximum(ahead, 0.0) / TREND_FADES_DAYS))
    pull = _pull(age, fresh, weight * fresh) * float((burn * faded).sum())
    if pull > TREND_PULLS:
        slope *= TREND_PULLS / pull
    return np.asarray(np.exp(np.clip(slope * faded, -0.7, 0.7)))


def _pull(age: NDArray[np.float64], fresh: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """By how much one SU/h more on a day of the past lowers the fitted slope at most, per day and SU/h."""
    older = age - float(np.average(age, weights=weight))
    return float((fresh * older).max() / (weight * older**2).sum())


def _guessed(past: Kinds, future: Kinds) -> NDArray[np.float64]:
    """How much of what is said of the days ahead, from 0 to 1, is not known from days of their kind."""
    seen = np.array([np.count_nonzero(past.kind == kind) for kind in range(len(KINDS))])
    return np.asarray(KIND_PRIOR_DAYS / (KIND_PRIOR_DAYS + seen[future.kind]))


def _doubt(past: Kinds, future: Kinds) -> NDArray[np.float64]:
    """Relative doubt about the days ahead: kinds hardly seen, and periods that have not begun."""
    guessed = np.where(np.isnan(future.level), _guessed(past, future), 0.0)
    return np.asarray(np.hypot(KIND_ERROR * guessed, PERIOD_ERROR * another_period(future.kind)))
