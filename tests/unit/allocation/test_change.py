"""What a change of the pools costs: raising costs, lowering saves, and what is said to fit does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocation.change import Change, change, only_shrinks
from allocation.plan import Nodes, Plan, Pool
from allocation.rates import GPU, UnknownFlavor
from tests.unit.allocation.made_up import NOW, segment

FIXED = (Nodes(flavor="m3.quad", count=2),)
PLAN = Plan(reporting_lag_hours=18)
BEFORE = {"low": Pool(flavor="m3.quad", min=1, max=4), "high": Pool(flavor="m3.medium", min=1, max=2)}


def priced(
    after: dict[str, Pool],
    *,
    before: dict[str, Pool] | None = BEFORE,
    allocated: float = 200_000,
    burn: float = 24.0,
    plan: Plan = PLAN,
) -> Change:
    hours = 180 * 24
    past = segment(first="2026-01-02", last="2026-07-01", used=(24 * burn, burn * hours), allocated=allocated)
    return change([past], plan, fixed=FIXED, before=before, after=after, now=NOW)


def with_pool(name: str, **changed: int | str) -> dict[str, Pool]:
    old = BEFORE.get(name, Pool(flavor="m3.large", min=1, max=1))
    return {**BEFORE, name: Pool.model_validate({**old.model_dump(), **changed})}


pools = st.builds(
    lambda flavor, fewest, more: Pool(flavor=flavor, min=fewest, max=fewest + more),
    st.sampled_from(["m3.small", "m3.quad", "m3.medium"]),
    st.integers(0, 3),
    st.integers(0, 20),
)
plans = st.dictionaries(st.sampled_from(["low", "high", "extra"]), pools, min_size=1)
quick = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(before=plans, name=st.sampled_from(["low", "high", "extra"]), burn=st.floats(8, 60))
def test_raising_a_floor_never_raises_the_delta(before: dict[str, Pool], name: str, burn: float) -> None:
    pool = before.get(name, Pool(flavor="m3.quad", min=0, max=5))
    raised = Pool(flavor=pool.flavor, min=pool.min + 1, max=max(pool.max, pool.min + 1))
    result = priced({**before, name: raised}, before=before, burn=burn)
    assert result.before is not None
    assert result.before.planned is not None
    assert result.after.planned is not None
    assert result.after.planned.su_delta <= result.before.planned.su_delta + 1e-6
    assert result.after.floor > result.before.floor
    assert not result.lowers


@quick
@given(before=plans, after=plans)
def test_lowers_is_said_of_the_bounds_alone(before: dict[str, Pool], after: dict[str, Pool]) -> None:
    result = priced(after, before=before)
    assert result.before is not None
    expected = result.after.floor <= result.before.floor and result.after.ceiling <= result.before.ceiling
    assert result.lowers is expected
    if only_shrinks(before, after):
        assert result.lowers


@quick
@given(after=plans, allocated=st.floats(100_000, 300_000), reserve=st.floats(0, 20_000))
def test_what_fits_really_fits_and_one_more_does_not(
    after: dict[str, Pool], allocated: float, reserve: float
) -> None:
    plan = PLAN.model_copy(update={"reserve_su": reserve})
    result = priced(after, allocated=allocated, plan=plan)
    if not result.over or result.lowers:
        assert result.fits == {}
    for name, pool in result.fits.items():
        assert not priced({**after, name: pool}, allocated=allocated, plan=plan).over
        assert pool.max < after[name].max
        more = pool.model_copy(update={"max": pool.max + 1, "min": min(after[name].min, pool.max + 1)})
        assert priced({**after, name: more}, allocated=allocated, plan=plan).over


FOUR_ALWAYS = {"low": Pool(flavor="m3.quad", min=4, max=4)}
ONE_TO_FIVE = {"low": Pool(flavor="m3.quad", min=1, max=5)}


def test_a_lower_floor_saves_though_the_ceiling_rises() -> None:
    """Of four nodes that always run one is left, and a fifth may come: on some days, not on all."""
    result = priced(ONE_TO_FIVE, before=FOUR_ALWAYS, allocated=110_000)
    assert result.over
    assert not result.lowers
    assert result.saves
    assert result.fits == {}, "nothing has to be looked for that would fit"
    back = priced(FOUR_ALWAYS, before=ONE_TO_FIVE, allocated=110_000)
    assert back.over
    assert not back.saves


@quick
@given(before=plans, name=st.sampled_from(["low", "high", "extra"]), burn=st.floats(8, 60))
def test_a_raised_ceiling_alone_never_saves(before: dict[str, Pool], name: str, burn: float) -> None:
    pool = before.get(name, Pool(flavor="m3.quad", min=0, max=5))
    raised = pool.model_copy(update={"max": pool.max + 3})
    assert not priced({**before, name: raised}, before=before, burn=burn).saves
    assert not priced(before, before=before, burn=burn).saves


def test_something_does_fit_and_something_does_not() -> None:
    result = priced({**BEFORE, "low": Pool(flavor="m3.quad", min=1, max=100)}, allocated=212_000)
    assert result.over
    assert set(result.fits) == {"low"}
    assert 4 < result.fits["low"].max < 100
    assert priced(with_pool("extra", flavor="m3.large"), allocated=215_000).fits == {}


def test_before_and_after_are_the_same_where_nothing_changes() -> None:
    result = priced(BEFORE)
    assert result.before == result.after
    assert result.lowers


def test_what_was_removed_counts_no_more() -> None:
    result = priced({"low": BEFORE["low"]})
    assert (result.before and result.before.floor, result.after.floor) == (20.0, 12.0)
    assert result.lowers


def test_another_flavor_counts_at_its_own_rate() -> None:
    result = priced(with_pool("low", flavor="m3.large"))
    assert (result.after.floor, result.after.ceiling) == (8 + 16 + 8, 8 + 64 + 16)


def test_the_first_creation_has_no_before() -> None:
    result = priced(BEFORE, before=None)
    assert result.before is None
    assert not result.lowers
    assert result.after.planned is not None


def test_without_figures_only_the_burn_is_told() -> None:
    result = change([], PLAN, fixed=FIXED, before=BEFORE, after=with_pool("low", max=6), now=NOW)
    assert (result.after.planned, result.after.line, result.hours_left) == (None, None, None)
    assert result.before is not None
    assert (result.before.ceiling, result.after.ceiling) == (40.0, 48.0)
    assert not result.over


def test_nodes_of_another_resource_do_not_count() -> None:
    gpu = Pool(flavor="g3.small", min=1, max=9)
    result = priced({**BEFORE, "gpu": gpu})
    assert result.before is not None
    assert result.after.ceiling == result.before.ceiling
    assert result.after.planned == result.before.planned
    assert GPU not in str(result)


def test_a_flavor_without_a_rate_is_named() -> None:
    with pytest.raises(UnknownFlavor, match=r"z9\.huge"):
        priced(with_pool("extra", flavor="z9.huge"))


@pytest.mark.parametrize(
    ("after", "shrinks"),
    [
        (BEFORE, True),
        (with_pool("low", max=3), True),
        ({"low": BEFORE["low"]}, True),
        ({}, True),
        (with_pool("low", max=5), False),
        (with_pool("low", min=2), False),
        (with_pool("low", flavor="m3.small"), False),
        (with_pool("extra"), False),
    ],
)
def test_only_shrinks(after: dict[str, Pool], shrinks: bool) -> None:
    assert only_shrinks(BEFORE, after) is shrinks
    assert not only_shrinks(None, after)
