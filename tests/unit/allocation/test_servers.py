"""What servers burn: reckoned from Nova's list, and fetched from a Nova that sends pages and fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import accounting, rates, servers
from allocation.errors import AllocationError
from tests.unit.allocation import fake_cloud
from tests.unit.allocation.fake_cloud import FakeCloud

VCPUS = {"m3.tiny": 1, "m3.quad": 4, "m3.medium": 8, "r3.large": 64, "g3.small": 4, "g4.xl": 32, "g5.xl": 20}


def server(flavor: str = "m3.quad", state: str = "ACTIVE", *, number: int = 0) -> dict[str, Any]:
    """As Nova lists one from microversion 2.47 on."""
    return {
        "id": f"id-{number}",
        "name": f"server-{number}",
        "status": state,
        "flavor": {"original_name": flavor, "vcpus": VCPUS.get(flavor, 2), "ram": 1024, "disk": 20},
    }


SERVERS = st.lists(
    st.builds(server, st.sampled_from(sorted(VCPUS)), st.sampled_from(sorted(rates.STATE_FACTORS))),
    max_size=20,
)
"""Servers whose rates are known."""


def computed(*listed: dict[str, Any], **own: float) -> servers.ComputedBurn:
    return servers.burn(listed, own_rates=own)


def test_each_server_burns_its_flavor_s_rate_times_its_state_s_charge() -> None:
    found = computed(
        server("m3.medium"),
        server("m3.medium", "SHUTOFF"),
        server("m3.quad", "SUSPENDED"),
        server("m3.quad", "SHELVED_OFFLOADED"),
        server("m3.quad", "BUILD"),
        server("g3.small"),
        server("g4.xl"),
        server("r3.large", "PAUSED"),
    )
    assert found.su_per_hour == {rates.CPU: 8 + 4 + 3, rates.GPU: 8 + 224, rates.LARGE_MEMORY: 96}
    assert found.servers == {rates.CPU: 5, rates.GPU: 2, rates.LARGE_MEMORY: 1}
    assert found.unknown == ()


def test_a_stopped_server_still_burns() -> None:
    """The script that counted instances left all but the ACTIVE ones out."""
    assert computed(server("m3.medium", "SHUTOFF")).su_per_hour[rates.CPU] == 4


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (server("z9.huge"), "'z9.huge' is not known"),
        (server("m3.quad", "HIBERNATED"), "'HIBERNATED'"),
        (server() | {"status": None}, "'None'"),
        (server() | {"flavor": {"id": "4"}}, "Nova does not tell its flavor"),
        (server() | {"flavor": None}, "Nova does not tell its flavor"),
        (server() | {"flavor": {"original_name": "g4.xl", "vcpus": "many"}}, "without its vCPUs"),
    ],
)
def test_a_server_of_unknown_rate_is_reported_not_guessed(listed: dict[str, Any], reason: str) -> None:
    found = computed(listed, server("m3.tiny"))
    assert found.su_per_hour == {rates.CPU: 1, rates.GPU: 0, rates.LARGE_MEMORY: 0}
    assert found.servers[rates.CPU] == 1
    (unknown,) = found.unknown
    assert unknown.startswith("server-0 (")
    assert reason in unknown


def test_an_own_rate_counts() -> None:
    assert computed(server("m3.quad"), **{"m3.quad": 5}).su_per_hour[rates.CPU] == 5


def test_an_own_rate_does_not_tell_which_resource_is_burnt() -> None:
    (unknown,) = computed(server("z9.huge"), **{"z9.huge": 5}).unknown
    assert "which resource" in unknown
    assert "only flavors of m3, r3, g3, g4, g5 can be counted" in unknown


@given(SERVERS, SERVERS)
def test_burns_add_up(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    both, first, second = computed(*some, *others), computed(*some), computed(*others)
    for resource in servers.COMPUTE_RESOURCES:
        parts = first.su_per_hour[resource] + second.su_per_hour[resource]
        assert both.su_per_hour[resource] == pytest.approx(parts)
        assert both.servers[resource] == first.servers[resource] + second.servers[resource]


@given(SERVERS)
def test_nothing_burns_more_than_when_it_runs(listed: list[dict[str, Any]]) -> None:
    now, running = computed(*listed), computed(*(each | {"status": "ACTIVE"} for each in listed))
    assert sum(now.servers.values()) == len(listed)
    for resource in servers.COMPUTE_RESOURCES:
        assert 0 <= now.su_per_hour[resource] <= running.su_per_hour[resource]


def test_samples_are_of_resources_that_servers_burn() -> None:
    found = computed(server(), server("z9.huge"))
    (sample,) = found.samples([rates.CPU, rates.STORAGE, "jetstream3.example"], now=5.0)
    assert (sample.timestamp, sample.resource, sample.su_per_hour) == (5.0, rates.CPU, 4)
    assert (sample.servers, sample.unknown) == (1, 1)


def ask(own_rates: dict[str, float] | None = None) -> servers.ComputedBurn:
    session, region = accounting.session("gateway")
    return servers.computed_burn(session, region=region, own_rates=own_rates or {})


def test_nova_is_asked_page_by_page(cloud: FakeCloud) -> None:
    cloud.servers = [server("m3.tiny", number=number) for number in range(25)]
    cloud.page = 10
    assert ask().servers[rates.CPU] == 25
    pages = [path for path in cloud.asked if "/servers/detail" in path]
    assert [path.partition("marker=")[2] for path in pages] == ["", "id-9", "id-19"]


def test_a_project_without_servers_burns_nothing(cloud: FakeCloud) -> None:
    assert set(ask().su_per_hour.values()) == {0}


def test_a_nova_that_fails_for_a_moment_is_asked_again(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "RETRY_PAUSE_S", 0.01)
    cloud.servers = [server()]
    cloud.compute = [503, 503]
    assert ask().su_per_hour[rates.CPU] == 4


@pytest.mark.parametrize(
    ("status", "told"),
    [(403, "member of the project"), (404, "check that the address is right"), (500, "HTTP status 500")],
)
def test_a_nova_that_refuses_is_told(cloud: FakeCloud, status: int, told: str) -> None:
    cloud.compute = [status]
    with pytest.raises(AllocationError, match=told) as raised:
        ask()
    assert fake_cloud.TOKEN_MARK not in str(raised.value)


def test_an_expired_token_is_renewed(cloud: FakeCloud) -> None:
    session, region = accounting.session("gateway")
    session.get_token()
    cloud.issued.clear()
    assert servers.computed_burn(session, region=region, own_rates={}).unknown == ()


def test_a_catalog_without_nova(cloud: FakeCloud) -> None:
    cloud.types = ["identity", "accounting"]
    with pytest.raises(AllocationError, match="no Nova in the region RegionOne"):
        ask()


@pytest.mark.parametrize("listed", [[3], [{"name": "without an id"}], None])
def test_an_answer_that_is_no_list_of_servers(listed: Any) -> None:
    class Nova:
        def get(self, _path: str, **_options: Any) -> Any:
            return self

        def json(self) -> Any:
            return {"servers": listed}

    with pytest.raises(AllocationError, match="no list of servers"):
        servers._pages(Nova())  # type: ignore[arg-type]
