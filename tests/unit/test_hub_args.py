"""From settings to the hub's arguments: sizes, prices, places, and what must be given."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stacks.flavors import Shape, Share, per_node
from stacks.hub_args import hub_args, profiles
from stacks.prices import rate
from tests.unit.settings_files import GOOD
from tests.unit.test_hub_values import FILES, settings_of


def test_prices_are_a_servers_part_of_its_node() -> None:
    prices = {
        profile.name: profile.su_per_hour
        for profile in profiles(settings_of(GOOD / "one_pool_many_sizes.yaml"))
    }
    assert prices == {"standard": 2, "medium": 4, "high": 8}


def test_a_flavor_of_ones_own_has_the_price_that_is_given_or_its_familys_or_none() -> None:
    settings = settings_of(GOOD / "priced_flavor.yaml")
    assert rate(settings, "c2.xlarge") == 10.5
    assert rate(settings, "g5.small") == pytest.approx(4 * 6.4)
    assert rate(settings_of(GOOD / "own_sizes.yaml"), "c2.xlarge") is None
    by_name = {profile.name: profile for profile in profiles(settings)}
    # 6.5 GiB fit twice into 14.7 GiB, 3.5 CPUs twice into 7.6.
    assert by_name["high-power"].per_node == 2
    assert by_name["high-power"].su_per_hour == pytest.approx(10.5 / 2)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_whole_number_of_servers_fills_a_node(path: Path) -> None:
    settings = settings_of(path)
    for given, made in zip(settings.profiles, profiles(settings), strict=True):
        assert made.per_node >= 1
        if given.users_per_node is not None:
            assert made.per_node == given.users_per_node
        assert made.max_nodes == settings.pools[given.pool].max


def test_what_does_not_fit_once_does_not_fit() -> None:
    assert per_node(Shape(vcpus=4, memory_mib=8192), Share(memory_mib=9000, cpus=1)) == 0
    assert per_node(Shape(vcpus=4, memory_mib=8192), Share(memory_mib=100, cpus=4)) == 0


def test_the_tightest_decides() -> None:
    shape = Shape(vcpus=8, memory_mib=32768)
    assert per_node(shape, Share(memory_mib=1000, cpus=1.9)) == math.floor(7.6 / 1.9)
    assert per_node(shape, Share(memory_mib=15000, cpus=0.1)) == 2


@pytest.mark.parametrize(
    ("name", "words"), [("shared_drive", "shared drive"), ("shared_homes", "shared homes")]
)
def test_what_is_mounted_has_to_be_given(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hub_args(settings_of(GOOD / f"{name}.yaml"), namespace="jhub", storage_class="gateway")


def test_placeholders_follow_production_unless_they_are_set() -> None:
    expected = {
        "github_production": 1,
        "smallest": 0,
        "placeholders": 2,
        "production_without_placeholders": 0,
    }
    assert {name: settings_of(GOOD / f"{name}.yaml").placeholders_per_pool for name in expected} == expected
