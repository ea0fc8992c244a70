"""How good the forecasts would have been: each model at moments of the past, against what then happened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from allocation import history, intervals
from allocation.forecast import MODELS, Model, maker
from allocation.history import Segment
from allocation.plan import Plan
from allocation.times import DAY

HORIZONS_DAYS = (7, 30, 90)

WARM_UP_DAYS = 14
"""Days of history before the first trial."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One forecast of the past.

    Attributes:
        model: whose.
        horizon_days: how far it looked.
        moment: when it was made, seconds since the epoch.
        error: SU by which the expected use over the horizon was too high.
        burnt: SU really reported over the horizon, above zero.
        inside: whether that lay in the 80 % interval.
    """

    model: Model
    horizon_days: int
    moment: float
    error: float
    burnt: float
    inside: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """All trials of a model and horizon.

    Attributes:
        model, horizon_days: which.
        trials: how many.
        error: mean absolute error as a part of what was burnt.
        bias: mean error as a part of what was burnt; above zero when too much was expected.
        coverage: part of the trials that lay in the 80 % interval.
    """

    model: Model
    horizon_days: int
    trials: int
    error: float
    bias: float
    coverage: float


def backtest(segments: Sequence[Segment], plan: Plan, *, every_days: float = 7.0) -> list[Score]:
    """Scores of all models on a ledger.

    Args:
        segments: one resource's, in order of time.
        plan: its stages count only from when they began; windows across a change of plan are left out, since
            no forecast can know a decision that has not been made.
        every_days: between one trial and the next.
    """
    if not segments:
        return []
    first, last = float(segments[0].times[0]), float(segments[-1].times[-1])
    moments = np.arange(first + WARM_UP_DAYS * DAY, last - min(HORIZONS_DAYS) * DAY + 1, every_days * DAY)
    return scores(trials(segments, plan, [float(moment) for moment in moments]))


def trials(segments: Sequence[Segment], plan: Plan, moments: Iterable[float]) -> list[Trial]:
    """Forecasts of all models made at some moments, each against what the ledger later said.

    The use over a horizon is counted from the last figure known then, as reports trail behind the use by the
    same time at both ends. Windows that a renewal, a reset or a change of plan cuts are left out, and so are
    those that were over when they were asked about, in a gap of the figures.
    """
    found: list[Trial] = []
    for moment in moments:
        known = history.until(segments, moment)
        if not known:
            continue
        then = plan.known_at(moment)
        base, base_time = float(known[-1].used[-1]), float(known[-1].times[-1])
        horizons = [
            (days, burnt)
            for days in HORIZONS_DAYS
            if not any(moment < stage.since < moment + (days - 1) * DAY for stage in plan.stages)
            and (burnt := _used_at(segments, base_time, base_time + days * DAY, base)) is not None
            and burnt > 0
        ]
        if not horizons:
            continue
        for model in MODELS:
            make = maker(model, then)
            path = make(known, moment)
            low, high = intervals.band(path, intervals.correction(make, known, moment))
            for days, burnt in horizons:
                until = path.known_until + days * DAY
                if until < moment:
                    continue
                expected, lowest, highest = (
                    float(np.interp(until, path.times, line)) - base for line in (path.expected, low, high)
                )
                found.append(
                    Trial(
                        model=model,
                        horizon_days=days,
                        moment=moment,
                        error=expected - burnt,
                        burnt=burnt,
                        inside=lowest <= burnt <= highest,
                    )
                )
    return found


def scores(found: Sequence[Trial]) -> list[Score]:
    """Trials summed up by model and horizon, in the order of both."""
    result = []
    for model in MODELS:
        for days in HORIZONS_DAYS:
            mine = [trial for trial in found if trial.model == model and trial.horizon_days == days]
            if mine:
                relative = np.array([trial.error / trial.burnt for trial in mine])
                result.append(
                    Score(
                        model=model,
                        horizon_days=days,
                        trials=len(mine),
                        error=float(np.abs(relative).mean()),
                        bias=float(relative.mean()),
                        coverage=float(np.mean([trial.inside for trial in mine])),
                    )
                )
    return result


def _used_at(segments: Sequence[Segment], begin: float, end: float, base: float) -> float | None:
    """SU reported between two moments; None where the ledger does not tell, or counting began anew
    between."""
    last = None
    for segment in segments:
        if segment.times[0] > end:
            break
        if segment.times[0] > begin and segment.reason != "supplement":
            return None
        last = segment
    if last is None or last.times[-1] < end:
        after = [segment for segment in segments if segment.times[0] > end]
        if last is None or not after or after[0].reason != "supplement":
            return None
        # The window ends between two segments over which usage counts on.
        times = [float(last.times[-1]), float(after[0].times[0])]
        return float(np.interp(end, times, [float(last.used[-1]), float(after[0].used[0])])) - base
    return float(np.interp(end, last.times, last.used)) - base
