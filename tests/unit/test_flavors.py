"""The arithmetic of nodes and shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.flavors import JETSTREAM2, Shape, fits_kubernetes, for_users, share

shapes = st.builds(Shape, vcpus=st.integers(1, 256), memory_mib=st.integers(512, 2**21))


@given(shapes)
def test_users_get_less_than_the_node_has(shape: Shape) -> None:
    part = for_users(shape)
    assert 0 <= part.memory_mib < shape.memory_mib
    assert 0 <= part.cpus < shape.vcpus


@given(shapes, st.integers(1, 64))
def test_all_shares_fit_together(shape: Shape, users: int) -> None:
    whole, part = for_users(shape), share(shape, users)
    assert part.memory_mib * users <= whole.memory_mib
    # Kubernetes counts CPUs in thousandths.
    assert round(part.cpus * 1000) * users <= round(whole.cpus * 1000)


@given(shapes, st.integers(1, 64))
def test_shares_waste_next_to_nothing(shape: Shape, users: int) -> None:
    whole, part = for_users(shape), share(shape, users)
    assert whole.memory_mib - part.memory_mib * users < users
    assert whole.cpus - part.cpus * users < 0.01 * users + 1e-9


@given(shapes, st.integers(1, 1024))
def test_more_memory_never_means_less_for_users(shape: Shape, more: int) -> None:
    larger = Shape(vcpus=shape.vcpus, memory_mib=shape.memory_mib + more)
    assert for_users(larger).memory_mib >= for_users(shape).memory_mib


@pytest.mark.parametrize("users", [0, -1])
def test_a_share_is_for_somebody(users: int) -> None:
    with pytest.raises(ValueError, match="1 user or more"):
        share(JETSTREAM2["m3.quad"], users)


def test_sizes_that_operators_run_on_jetstream2_fit() -> None:
    """In use there: 26.5 GiB and 7 CPUs for one user of an m3.medium, 13 GiB and 3.25 CPUs for two."""
    whole, half = for_users(JETSTREAM2["m3.medium"]), share(JETSTREAM2["m3.medium"], 2)
    assert whole.memory_mib >= 26.5 * 1024
    assert whole.cpus >= 7
    assert half.memory_mib >= 13 * 1024
    assert half.cpus >= 3.25


def test_magnum_needs_two_cpus_and_two_gib() -> None:
    assert not fits_kubernetes(JETSTREAM2["m3.tiny"])
    assert fits_kubernetes(JETSTREAM2["m3.small"])
