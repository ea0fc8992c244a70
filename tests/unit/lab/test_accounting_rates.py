"""What the lab charges for servers."""

from __future__ import annotations

import pytest

from allocation import rates as charged
from lab.accounting.rates import CPU, Server, burn, rates, unknown
from lab.openstack.contents import FLAVORS, Flavor


def server(flavor: str = "m3.quad", vcpus: int = 4, state: str = "ACTIVE") -> Server:
    return Server(flavor=flavor, vcpus=vcpus, state=state)


def test_a_servers_burn_goes_by_family_vcpus_and_state() -> None:
    servers = [
        server(),
        server(flavor="m3.medium", vcpus=8, state="SHUTOFF"),
        server(flavor="m3.medium", vcpus=8, state="SHELVED_OFFLOADED"),
        server(flavor="m3.small", vcpus=2, state="SUSPENDED"),
        server(flavor="r3.large", vcpus=64),
        server(flavor="g3.small", vcpus=4, state="PAUSED"),
        server(flavor="m3.tiny", vcpus=1, state="VERIFY_RESIZE"),
    ]
    assert burn(servers) == {
        CPU: 4 + 4 + 0 + 1.5 + 1,
        "jetstream2-lm.indiana.xsede.org": 128,
        "jetstream2-gpu.indiana.xsede.org": 6,
    }


def test_the_order_of_the_servers_makes_no_difference() -> None:
    servers = [server(flavor="g5.a", vcpus=number, state="SUSPENDED") for number in range(1, 30)]
    assert burn(servers) == burn(servers[::-1])


def test_a_flavor_without_a_rate_is_named_and_burns_nothing() -> None:
    servers = [server(), server(flavor="x9.huge"), server(flavor="x9.huge"), server(flavor="odd")]
    assert burn(servers) == {CPU: 4}
    assert unknown(servers) == ["odd", "x9.huge"]


def test_charges_what_the_allocations_rates_say_by_family() -> None:
    assert {name: family.factor for name, family in rates().families.items()} == dict(charged.FAMILY_FACTORS)
    for name, family in rates().families.items():
        assert family.resource == charged.resource_of(f"{name}.small")


@pytest.mark.parametrize("flavor", FLAVORS, ids=lambda flavor: flavor.name)
@pytest.mark.parametrize("state", sorted(charged.STATE_FACTORS))
def test_charges_what_the_allocations_rates_say_of_the_labs_flavors(flavor: Flavor, state: str) -> None:
    expected = charged.su_per_hour(flavor.name) * charged.state_factor(state)
    assert burn([server(flavor.name, flavor.vcpus, state)])[CPU] == expected


def test_knows_no_state_that_the_allocations_rates_do_not() -> None:
    assert set(rates().states) <= set(charged.STATE_FACTORS)
