"""What each rung does to the settings: less and less, never below what must run, and users are told."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.ladder import Rung
from stacks.hub_args import hub_args
from stacks.rungs import FEWER, NOTICE, braked, costliest, pools
from stacks.settings import Settings
from stacks.settings_cluster import Pool
from stacks.settings_hub import Culling
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, configuration
from tests.unit.test_hub_values import SCHEMA, values_of

FILES = sorted(GOOD.glob("*.yaml"))


def settings(name: str = "smallest") -> Settings:
    return parse(*configuration(GOOD / f"{name}.yaml"))


def ceilings(found: Settings) -> dict[str, int]:
    return {name: pool.max for name, pool in found.pools.items()}


def closed(found: Settings) -> list[str]:
    return [profile.name for profile in found.profiles if profile.closed]


@pytest.mark.parametrize(
    ("rung", "idle", "age", "most", "shut"),
    [
        (Rung.NORMAL, 60, 12, {"low": 4, "high": 2}, []),
        (Rung.SHORTER_CULLING, 20, 6, {"low": 4, "high": 2}, []),
        (Rung.LOWER_CEILINGS, 20, 6, {"low": 2, "high": 1}, []),
        (Rung.HIGH_CLOSED, 20, 6, {"low": 2, "high": 1}, ["high-power"]),
        (Rung.NO_NEW_SERVERS, 20, 6, {"low": 2, "high": 1}, ["low-power", "high-power"]),
        (Rung.SHUTDOWN, 5, 6, {"low": 1, "high": 1}, ["low-power", "high-power"]),
    ],
)
def test_each_rung_brakes_as_it_says(
    rung: Rung, idle: int, age: int, most: dict[str, int], shut: list[str]
) -> None:
    found = braked(settings(), rung)
    assert (found.culling.idle_minutes, found.culling.max_age_hours) == (idle, age)
    assert ceilings(found) == most
    assert closed(found) == shut


def test_only_a_shutdown_has_an_hour_that_ends() -> None:
    for rung in Rung:
        early, late = (braked(settings(), rung, drained=drained) for drained in (False, True))
        assert late.culling.max_age_hours == (1 if rung == Rung.SHUTDOWN else early.culling.max_age_hours)
        assert late.model_copy(update={"culling": early.culling}) == early


def test_the_lowest_rung_changes_nothing() -> None:
    assert braked(settings(), Rung.NORMAL) == settings()


def test_stricter_settings_of_the_operators_stay() -> None:
    strict = settings().model_copy(
        update={"culling": Culling(idle_minutes=10, kernel_idle_minutes=5, max_age_hours=2)}
    )
    found = braked(strict, Rung.NO_NEW_SERVERS).culling
    assert (found.idle_minutes, found.kernel_idle_minutes, found.max_age_hours) == (10, 5, 2)


def test_kernels_that_were_never_stopped_are_stopped() -> None:
    never = settings().model_copy(update={"culling": Culling(kernel_idle_minutes=None)})
    assert braked(never, Rung.SHORTER_CULLING).culling.kernel_idle_minutes == 10


@pytest.mark.parametrize("rung", list(Rung))
@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_rung_of_any_settings_gives_values_that_a_hub_can_work_with(
    path: Path, rung: Rung, drained: bool
) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    plain = parse(*configuration(path))
    found = braked(plain, rung, drained=drained)
    errors = [
        error.message
        for error in jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(values_of(found))
        # What the schema requires and we leave out comes from the chart's own defaults.
        if error.validator != "required"
    ]
    assert errors == []
    # The sections keep their own rules, such as a greatest age that is longer than idle_minutes.
    Culling.model_validate(found.culling.model_dump())
    for pool in found.pools.values():
        Pool.model_validate(pool.model_dump())


@given(
    st.dictionaries(
        st.sampled_from(["low", "high"]),
        st.tuples(st.integers(1, 20), st.integers(0, 80)),
        min_size=2,
    ),
    st.sampled_from(Rung),
)
def test_a_ceiling_is_never_below_what_must_run_nor_above_the_settings(
    sizes: dict[str, tuple[int, int]], rung: Rung
) -> None:
    plain = settings()
    own = {
        name: plain.pools[name].model_copy(update={"min": least, "max": least + more})
        for name, (least, more) in sizes.items()
    }
    plain = plain.model_copy(update={"pools": own})
    found = braked(plain, rung)
    higher = braked(plain, Rung(min(rung + 1, Rung.SHUTDOWN)))
    for name, pool in found.pools.items():
        assert own[name].min == pool.min <= pool.max <= own[name].max
        assert higher.pools[name].max <= pool.max


def test_no_node_is_kept_warm_from_lower_ceilings_on() -> None:
    """Each would burn as one in use, above the floor, though nobody may start a server."""
    plain = settings()
    plain = plain.model_copy(update={"hub": plain.hub.model_copy(update={"placeholders_per_pool": 2})})
    warm = [braked(plain, rung).placeholders_per_pool for rung in Rung]
    assert warm == [2, 2, 0, 0, 0, 0]


def test_the_pool_that_costs_most_is_the_first_to_close() -> None:
    assert costliest(settings()) == "high"
    assert costliest(settings("one_pool")) is None


def test_users_are_told_from_high_closed_on() -> None:
    told = {rung: braked(settings(), rung).hub.notice for rung in Rung}
    assert [told[rung] for rung in Rung if rung < Rung.HIGH_CLOSED] == [None] * 3
    assert told[Rung.HIGH_CLOSED] == (
        "To save this gateway's computing time, High power cannot be started for now. Your files are safe."
    )
    assert told[Rung.NO_NEW_SERVERS] == NOTICE[Rung.NO_NEW_SERVERS]
    assert told[Rung.SHUTDOWN] == NOTICE[Rung.SHUTDOWN]


def test_with_one_pool_nothing_is_closed_by_itself_and_users_are_told_all_the_same() -> None:
    found = braked(settings("one_pool"), Rung.HIGH_CLOSED)
    assert closed(found) == []
    assert found.hub.notice == FEWER
    assert len(closed(braked(settings("one_pool"), Rung.NO_NEW_SERVERS))) == len(found.profiles)


def test_the_operators_own_notice_stays() -> None:
    plain = settings()
    plain = plain.model_copy(update={"hub": plain.hub.model_copy(update={"notice": "Course on Monday."})})
    notice = braked(plain, Rung.HIGH_CLOSED).hub.notice
    assert notice is not None
    assert notice.startswith("Course on Monday. To save")
    assert braked(plain, Rung.LOWER_CEILINGS).hub.notice == "Course on Monday."


def test_the_hub_gets_the_closed_profile_the_notice_and_another_default() -> None:
    plain = settings()
    swapped = plain.model_copy(
        update={
            "profiles": tuple(
                profile.model_copy(update={"default": profile.pool == "high"}) for profile in plain.profiles
            )
        }
    )
    values = values_of(braked(swapped, Rung.HIGH_CLOSED))
    spawner = values["hub"]["config"]["GatewaySpawner"]
    assert {room["profile"]: room["closed"] for room in spawner["rooms"]} == {
        "low-power": False,
        "high-power": True,
    }
    assert spawner["default_profile"] == "low-power"
    assert "High power cannot be started" in spawner["announcement"]
    assert [choice["default"] for choice in values["singleuser"]["profileList"]] == [True, False]
    everything_closed = values_of(braked(swapped, Rung.SHUTDOWN))["hub"]["config"]["GatewaySpawner"]
    assert everything_closed["default_profile"] == "high-power"


def test_the_price_is_shown_on_every_rung() -> None:
    for rung in Rung:
        found = hub_args(braked(settings(), rung), namespace="jhub", storage_class="gateway")
        assert [round(profile.su_per_hour or 0, 2) for profile in found.profiles] == [2.0, 8.0]


def test_pools_of_a_low_rung_are_the_settings_own() -> None:
    assert pools(settings(), Rung.SHORTER_CULLING) == dict(settings().pools)
