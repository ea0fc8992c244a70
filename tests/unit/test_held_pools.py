"""The pools as they stand: read from a state, told to the program, and never above what stands."""

from __future__ import annotations

import json

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import plan
from allocation.change import only_shrinks
from allocation.ladder import Rung
from components.node_pools import TYPE
from stacks import rung_in_force
from stacks.held_pools import VARIABLE, differing, held, in_state, told, variable
from stacks.problems import SettingsError
from stacks.rungs import braked
from stacks.settings import Settings
from stacks.settings_cluster import Pool
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, configuration

LOW, HIGH = Pool(flavor="m3.quad", min=1, max=4), Pool(flavor="m3.medium", min=1, max=2)
"""As the settings of these tests have them."""


def settings(**pools: Pool) -> Settings:
    plain = parse(*configuration(GOOD / "smallest.yaml"))
    return plain.model_copy(update={"pools": {**plain.pools, **pools}})


def as_planned(pools: dict[str, Pool]) -> dict[str, plan.Pool]:
    return {name: plan.Pool.model_validate(pool.model_dump()) for name, pool in pools.items()}


pools = st.builds(
    lambda flavor, fewest, more: Pool(flavor=flavor, min=fewest, max=fewest + more),
    st.sampled_from(["m3.quad", "m3.medium", "m3.large"]),
    st.integers(1, 9),
    st.integers(0, 90),
)


def test_pools_are_read_from_a_state() -> None:
    found = {"pools": {"low": {"flavor": "m3.quad", "min": 1, "max": 4.0}}}
    state = {"deployment": {"resources": [{"type": "a:b:C"}, {"type": TYPE, "inputs": found}]}}
    assert in_state(json.dumps(state)) == {"low": LOW}
    assert in_state('{"deployment": {"resources": null}}') == {}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"deployment": {"resources": [{"urn": "a"}]}}'])
def test_what_is_no_state_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="Error"):
        in_state(text)


def test_what_the_program_is_told_it_reads() -> None:
    assert told({}) is None
    assert told(variable({"low": LOW, "high": HIGH})) == {"low": LOW, "high": HIGH}


@given(pools, pools, pools, pools, st.sampled_from(Rung))
def test_no_pool_is_above_what_stands_nor_above_what_is_asked_for(
    low: Pool, high: Pool, low_stands: Pool, high_stands: Pool, rung: Rung
) -> None:
    """So the change is one that the hook never refuses."""
    stand = {"low": low_stands, "high": high_stands}
    asked = braked(settings(low=low, high=high), rung)
    kept = dict(held(asked, stand).pools)
    assert only_shrinks(as_planned(stand), as_planned(kept))
    for name, pool in kept.items():
        assert pool.min <= asked.pools[name].min
        assert pool.max <= asked.pools[name].max
        Pool.model_validate(pool.model_dump())
    assert (kept == asked.pools) is (not differing(asked.pools, kept))


def test_the_rung_still_brakes_and_closes() -> None:
    asked = braked(settings(low=LOW.model_copy(update={"max": 60})), Rung.NO_NEW_SERVERS)
    kept = held(asked, {"low": LOW, "high": HIGH})
    assert {name: pool.max for name, pool in kept.pools.items()} == {"low": 4, "high": 1}
    assert all(profile.closed for profile in kept.profiles)
    assert kept.culling == asked.culling
    assert kept.hub == asked.hub
    assert differing(asked.pools, kept.pools) == {"low": "1 to 4 m3.quad (asked for: 1 to 30 m3.quad)"}


def test_a_new_pool_waits_with_its_profiles_and_one_that_goes_may_go() -> None:
    kept = held(settings(), {"low": LOW})
    assert set(kept.pools) == {"low"}
    assert [profile.pool for profile in kept.profiles] == ["low"]
    assert differing(settings().pools, kept.pools) == {"high": "none (asked for: 1 to 2 m3.medium)"}
    assert held(settings(), {"low": LOW, "high": HIGH, "old": LOW}).pools == settings().pools


@pytest.mark.parametrize("stand", [{}, {"low": LOW, "old": HIGH}], ids=["none yet", "another name"])
def test_a_change_that_cannot_be_left_out_is_told(stand: dict[str, Pool]) -> None:
    """Of a pool that gets another name the half that removes it would be left, and users without it."""
    with pytest.raises(SettingsError, match=r"gateway:pools = low, high: cannot be left as they stand"):
        held(settings(), stand)


def test_a_profile_that_does_not_fit_the_flavor_that_stands_is_told() -> None:
    plain = settings(high=Pool(flavor="m3.xl", min=1, max=2))
    profiles = [profile.model_dump() for profile in plain.profiles]
    profiles[1] |= {"memory_gib": 100.0, "cpus": 20.0, "users_per_node": None}
    made = [type(plain.profiles[0]).model_validate(profile) for profile in profiles]
    with pytest.raises(SettingsError, match=r"more than a m3\.medium node has for users"):
        held(plain.model_copy(update={"profiles": tuple(made)}), {"low": LOW, "high": HIGH})


def test_the_program_goes_by_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.log, "info", lambda _: None)
    raised = settings(low=LOW.model_copy(update={"max": 60}))
    assert rung_in_force.apply(raised, now=0).pools["low"].max == 60
    [(name, text)] = variable({"low": LOW, "high": HIGH}).items()
    monkeypatch.setenv(name, text)
    assert rung_in_force.apply(raised, now=0).pools["low"].max == 4
    monkeypatch.setenv(VARIABLE, "{}")
    with pytest.raises(pulumi.RunError, match="cannot be left as they stand"):
        rung_in_force.apply(raised, now=0)
