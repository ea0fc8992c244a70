"""A plan with changes: what holds from when on."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import times, what_if
from allocation.errors import AllocationError
from allocation.plan import Plan, Pool, parse_plan
from allocation.what_if import Days, PoolChange

APRIL = times.parse_time("2026-04-01")
PLAN = parse_plan(
    {
        "reserve_su": 10,
        "stages": [
            {
                "since": "2026-01-01",
                "fixed": [{"flavor": "m3.quad", "count": 2}],
                "pools": {"low": {"flavor": "m3.quad", "min": 1, "max": 4}},
            },
            {
                "since": "2026-06-01",
                "fixed": [{"flavor": "m3.quad", "count": 3}],
                "pools": {
                    "low": {"flavor": "m3.quad", "min": 1, "max": 4},
                    "high": {"flavor": "m3.medium", "min": 1, "max": 2},
                },
            },
        ],
        "calendar": [{"kind": "class", "first": "2026-01-12", "last": "2026-05-08"}],
    },
    name="of the test",
)


def test_a_change_holds_from_its_moment_on_and_in_later_stages() -> None:
    bigger = Pool(flavor="m3.medium", min=2, max=20)
    after = what_if.changed(PLAN, since=APRIL, pools=[PoolChange("high", bigger)])

    assert [stage.since for stage in after.stages] == [
        times.parse_time("2026-01-01"),
        APRIL,
        times.parse_time("2026-06-01"),
    ]
    assert [stage.pools.get("high") for stage in after.stages] == [None, bigger, bigger]
    assert [stage.fixed for stage in after.stages] == [
        PLAN.stages[0].fixed,
        PLAN.stages[0].fixed,
        PLAN.stages[1].fixed,
    ]
    assert after.reserve_su == PLAN.reserve_su


def test_a_change_at_the_moment_a_stage_begins_replaces_that_stage() -> None:
    since = PLAN.stages[1].since
    after = what_if.changed(PLAN, since=since, pools=[PoolChange("low", None)])
    assert [sorted(stage.pools) for stage in after.stages] == [["low"], ["high"]]
    assert after.stages[1].since == since


def test_a_pool_that_only_comes_later_can_be_taken_away() -> None:
    after = what_if.changed(PLAN, since=APRIL, pools=[PoolChange("high", None)])
    assert [sorted(stage.pools) for stage in after.stages] == [["low"], ["low"], ["low"]]


def test_days_are_added_last_so_that_they_count_where_they_overlap() -> None:
    days = Days("break", date(2026, 3, 16), date(2026, 3, 20))
    after = what_if.changed(PLAN, since=APRIL, days=[days])
    assert after.stages == PLAN.stages
    assert [(period.kind, period.first) for period in after.calendar] == [
        ("class", date(2026, 1, 12)),
        ("break", date(2026, 3, 16)),
    ]


@given(since=st.floats(PLAN.stages[0].since, PLAN.stages[1].since + 1e7), nodes=st.integers(0, 50))
def test_what_was_before_the_change_stays(since: float, nodes: int) -> None:
    change = PoolChange("new", Pool(flavor="m3.medium", min=nodes, max=nodes))
    after = what_if.changed(PLAN, since=since, pools=[change])
    for moment in (PLAN.stages[0].since, since - 1, since, since + 1e7):
        was, now = PLAN.stage_at(moment), after.stage_at(moment)
        if was is not None and now is not None:
            more = after.ceiling(now) - PLAN.ceiling(was)
            assert more == (8 * nodes if moment >= since else 0)


def test_without_a_stage_in_force_nothing_is_guessed() -> None:
    with pytest.raises(AllocationError, match=r"does not say what runs on 2026-04-01 00:00 UTC.*stages:"):
        what_if.changed(Plan(), since=APRIL, pools=[PoolChange("low", None)])


def test_a_pool_that_is_not_there_cannot_go() -> None:
    with pytest.raises(AllocationError, match=r"no pool 'hihg' to take away; the plan then has high, low"):
        what_if.changed(PLAN, since=APRIL, pools=[PoolChange("hihg", None)])


def test_a_flavor_without_a_rate_is_refused() -> None:
    with pytest.raises(AllocationError, match=r"x9\.huge"):
        what_if.changed(PLAN, since=APRIL, pools=[what_if.parse_pool("new=x9.huge:1:2")])


def test_pools_are_read() -> None:
    assert what_if.parse_pool("low=m3.quad:0:8") == PoolChange("low", Pool(flavor="m3.quad", min=0, max=8))
    assert what_if.parse_pool("low=none") == PoolChange("low", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "low",
        "low=",
        "=none",
        "low=m3.quad",
        "low=m3.quad:1",
        "low=m3.quad:1:2:3",
        "low=:1:2",
        "low=m3.quad:-1:2",
    ],
)
def test_what_is_no_change_of_a_pool_is_told_with_an_example(text: str) -> None:
    with pytest.raises(AllocationError, match=r"NAME=FLAVOR:MIN:MAX, such as"):
        what_if.parse_pool(text)


def test_a_pool_that_shrinks_as_it_grows_is_refused() -> None:
    with pytest.raises(AllocationError, match="MAX 1 below MIN 2"):
        what_if.parse_pool("low=m3.quad:2:1")


def test_days_are_read() -> None:
    assert what_if.parse_class("2026-08-24/2026-12-11") == Days(
        "class", date(2026, 8, 24), date(2026, 12, 11)
    )
    assert what_if.parse_break("2026-11-23/2026-11-23") == Days(
        "break", date(2026, 11, 23), date(2026, 11, 23)
    )


@pytest.mark.parametrize("text", ["", "2026-08-24", "2026-08-24/", "2026-08-24/fall", "24.8.2026/11.12.2026"])
def test_what_are_no_days_is_told_with_an_example(text: str) -> None:
    with pytest.raises(AllocationError, match="FIRST/LAST, such as 2026-08-24/2026-12-11"):
        what_if.parse_class(text)


def test_days_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(AllocationError, match="ends before it begins"):
        what_if.parse_break("2026-12-11/2026-08-24")
