"""What benchmarks/budget.py shows of 200 years, of two of them: enough to see a ladder fail that is wrong."""

from __future__ import annotations

import pytest

from allocation.ladder import Rung
from benchmarks.budget_replay import replay_of


@pytest.mark.parametrize(("seed", "highest"), [(3, Rung.NO_NEW_SERVERS), (9, Rung.SHUTDOWN)])
def test_the_reserve_is_left_of_a_year_that_autoscaling_alone_overdraws(seed: int, highest: Rung) -> None:
    """Seed 9 leaves little more than the reserve, after a shutdown's last hour."""
    year = replay_of(seed)
    assert year.left_alone < 0
    assert year.left >= year.reserve
    assert year.most_entries_a_day <= 1
    assert year.highest == highest
