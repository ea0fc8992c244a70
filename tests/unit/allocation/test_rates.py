"""Rates of flavors and charges of states: what is listed, what is reckoned, what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import rates
from allocation.errors import AllocationError
from stacks.flavors import JETSTREAM2

REFERENCE = Path(__file__).resolve().parents[4] / "shared/reference/jetstream2.md"


@pytest.mark.parametrize("flavor", sorted(JETSTREAM2))
def test_a_listed_rate_is_its_family_s_times_its_vcpus(flavor: str) -> None:
    family = flavor.partition(".")[0]
    assert rates.su_per_hour(flavor) == rates.FAMILY_FACTORS[family] * JETSTREAM2[flavor].vcpus


@pytest.mark.skipif(not REFERENCE.exists(), reason="the table of Jetstream2's rates is not on this machine")
def test_rates_are_those_of_the_reference() -> None:
    table = re.findall(
        r"^\|\s*\**(m3\.\w+)\**[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|\s*\**(\d+)\**", REFERENCE.read_text(), re.M
    )
    assert len(table) == 8
    for flavor, rate in table:
        assert rates.su_per_hour(flavor) == float(rate)


def test_gpu_flavors_cost_twice_their_vcpus_not_four_times() -> None:
    """The old script's table still had the rate from before 2024-07-02."""
    assert [rates.su_per_hour(f"g3.{size}") for size in ("small", "medium", "large", "xl")] == [8, 16, 32, 64]


@pytest.mark.parametrize(
    ("flavor", "vcpus", "rate"), [("g4.xl", 32, 224.0), ("g5.medium", 10, 64.0), ("m3.4xl", 256, 256.0)]
)
def test_an_unlisted_flavor_of_a_known_family_is_reckoned_from_its_vcpus(
    flavor: str, vcpus: int, rate: float
) -> None:
    assert rates.su_per_hour(flavor, vcpus=vcpus) == pytest.approx(rate)


@pytest.mark.parametrize(
    "flavor", ["z9.large", "m3", "medium", "", "gp1.m3.medium", "M3.medium", "m3 .medium"]
)
def test_an_unknown_flavor_is_refused_even_with_its_vcpus(flavor: str) -> None:
    with pytest.raises(rates.UnknownFlavor, match="rates: in the plan") as failure:
        rates.su_per_hour(flavor, vcpus=8)
    assert repr(flavor) in str(failure.value)


@pytest.mark.parametrize("vcpus", [None, 0, -1])
def test_a_known_family_without_vcpus_is_not_guessed(vcpus: int | None) -> None:
    with pytest.raises(rates.UnknownFlavor, match=r"'g4\.large'.*7 SU/h for each"):
        rates.su_per_hour("g4.large", vcpus=vcpus)


@given(st.sampled_from(sorted(rates.RATES)), st.floats(0, 1e6))
def test_the_operator_s_own_rate_comes_first(flavor: str, rate: float) -> None:
    assert rates.su_per_hour(flavor, own={flavor: rate}, vcpus=3) == rate


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_an_own_rate_that_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(AllocationError, match=r"m3\.quad"):
        rates.su_per_hour("m3.quad", own={"m3.quad": rate})


@pytest.mark.parametrize(
    ("state", "factor"),
    [
        ("ACTIVE", 1),
        ("active", 1),
        ("SHUTOFF", 0.5),
        ("SUSPENDED", 0.75),
        ("PAUSED", 0.75),
        ("SHELVED_OFFLOADED", 0),
        ("SHELVED", 0),
        ("BUILD", 0),
        ("ERROR", 0),
        ("VERIFY_RESIZE", 1),
        ("UNKNOWN", 1),
    ],
)
def test_states_are_charged_their_part(state: str, factor: float) -> None:
    assert rates.state_factor(state) == factor


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(rates.UnknownState, match=r"'HIBERNATED'.*ACTIVE"):
        rates.state_factor("HIBERNATED")


def test_each_flavor_burns_its_resource() -> None:
    assert rates.resource_of("m3.tiny") == rates.CPU
    assert rates.resource_of("r3.xl") == rates.LARGE_MEMORY
    assert rates.resource_of("g5.anything") == rates.GPU
    assert rates.resource_of("z9.large") is None
    assert rates.resource_of("m3") is None


def test_flavors_of_a_resource_are_in_order_of_their_rate() -> None:
    assert rates.flavors_of(rates.LARGE_MEMORY) == ["r3.large", "r3.xl"]
    assert rates.flavors_of(rates.GPU) == ["g3.small", "g3.medium", "g3.large", "g3.xl"]
    assert rates.flavors_of(rates.STORAGE) == rates.flavors_of("another") == []
    every = [flavor for resource in rates.RESOURCES for flavor in rates.flavors_of(resource)]
    assert sorted(every) == sorted(rates.RATES)
