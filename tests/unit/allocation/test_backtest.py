"""The backtest: which windows it counts, and what it says of models that are right or wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocation import backtest
from allocation.backtest import Trial
from allocation.plan import Plan
from allocation.times import DAY
from tests.unit.allocation.histories import MONDAY, burning, plan_of, pools


def test_a_constant_burn_is_foretold_by_all() -> None:
    for score in backtest.backtest([burning([16.0] * 150)], Plan()):
        assert score.error == pytest.approx(0, abs=1e-6)
        assert score.coverage == 1.0


def test_a_line_is_wrong_after_a_jump_and_the_score_says_by_how_much() -> None:
    known = burning([10.0] * 60 + [30.0] * 60)
    found = backtest.trials([known], Plan(), [MONDAY + 60 * DAY])
    line = next(trial for trial in found if (trial.model, trial.horizon_days) == ("linear", 30))
    assert line.burnt == pytest.approx(30 * 24 * 30)
    assert line.error == pytest.approx(-30 * 24 * 20)
    assert not line.inside


def test_windows_across_a_change_of_plan_are_left_out() -> None:
    known = burning([16.0] * 60 + [32.0] * 60)
    plan = plan_of(pools(since=MONDAY), pools(since=MONDAY + 60 * DAY, low=(3, 10)))
    found = backtest.trials([known], plan, [MONDAY + 40 * DAY, MONDAY + 60 * DAY])
    assert {(trial.moment, trial.horizon_days) for trial in found} == {
        (MONDAY + 40 * DAY, 7),
        (MONDAY + 60 * DAY, 7),
        (MONDAY + 60 * DAY, 30),
    }


def test_windows_across_a_renewal_are_left_out_and_across_a_supplement_not() -> None:
    first = burning([10.0] * 60)
    renewal = dataclasses.replace(burning([10.0] * 60, begins=MONDAY + 60 * DAY), reason="renewal")
    assert not backtest.trials([first, renewal], Plan(), [MONDAY + 55 * DAY])
    supplement = dataclasses.replace(
        burning([10.0] * 60, begins=MONDAY + 61 * DAY, before=60 * 240 + 240), reason="supplement"
    )
    found = backtest.trials([first, supplement], Plan(), [MONDAY + 55 * DAY])
    assert {trial.horizon_days for trial in found} == {7, 30}
    assert all(trial.burnt == pytest.approx(trial.horizon_days * 240) for trial in found)


def test_a_window_may_end_between_two_segments() -> None:
    first = burning([10.0] * 60)
    supplement = dataclasses.replace(
        burning([10.0] * 60, begins=MONDAY + 64 * DAY, before=64 * 240), reason="supplement"
    )
    found = backtest.trials([first, supplement], Plan(), [MONDAY + 55 * DAY])
    week = next(trial for trial in found if trial.horizon_days == 7)
    assert week.burnt == pytest.approx(7 * 240)


def test_no_trial_is_made_of_a_horizon_that_was_over_when_it_was_asked_about() -> None:
    whole = burning([10.0] * 150)
    gap = np.r_[0:31, 60:151]
    known = dataclasses.replace(whole, times=whole.times[gap], used=whole.used[gap])
    found = backtest.trials([known], Plan(), [MONDAY + 50 * DAY])
    assert {trial.horizon_days for trial in found} == {30, 90}
    assert all(trial.error == pytest.approx(0, abs=1) for trial in found)


def test_scores_sum_up() -> None:
    one = Trial(model="linear", horizon_days=7, moment=0, error=10, burnt=100, inside=True)
    two = dataclasses.replace(one, error=-30, inside=False)
    (score,) = backtest.scores([one, two])
    assert (score.trials, score.coverage) == (2, 0.5)
    assert [score.error, score.bias] == pytest.approx([0.2, -0.1])


def test_a_short_ledger_has_no_trials() -> None:
    assert backtest.backtest([burning([1.0] * 5)], Plan()) == []
    assert backtest.backtest([], Plan()) == []
