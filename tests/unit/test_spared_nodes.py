"""Lowered ceilings leave the nodes standing on which users may work: how those are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from allocation.ladder import Rung, State
from allocation.times import HOUR
from stacks import gateway, rung_in_force
from stacks.rung_file import Standing, write
from stacks.rung_in_force import node_counts, spared_nodes
from stacks.rungs import braked
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.recording import run
from tests.unit.settings_files import GOOD, configuration
from tests.unit.test_gateway import FACTS

NOW = 1_800_000_000.0
SERVERS = (
    "science-dev-abcdefghijkl-low-x7k2p-9vq8r",
    "science-dev-abcdefghijkl-low-x7k2p-aaaaa",
    "science-dev-abcdefghijkl-low-x7k2p-bbbbb",
    "science-dev-abcdefghijkl-high-11111-22222",
    "science-dev-abcdefghijkl-control-plane-33333",
    "science-development-abcdefghijkl-low-x7k2p-9vq8r",
    "a-colleagues-server",
)
GROUPS = {"nodegroups": [{"name": name, "node_count": 1} for name in ("default-worker", "low", "high")]}


@dataclass
class _Server:
    name: str


class _Cloud:
    """Stands for Magnum and Nova, and tells what Magnum was asked."""

    def __init__(self, status: int, body: object) -> None:
        self.answer = requests.Response()
        self.answer.status_code = status
        self.answer._content = json.dumps(body).encode()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ceiling: int | None = 4

    @property
    def container_infrastructure_management(self) -> _Cloud:
        return self

    @property
    def compute(self) -> _Cloud:
        return self

    def get(self, path: str, *, headers: dict[str, str], raise_exc: bool) -> requests.Response:
        assert not raise_exc
        self.asked.append((path, headers))
        group = path.partition("/nodegroups/")[2]
        if not group:
            return self.answer
        one = requests.Response()
        one.status_code = 200
        one._content = json.dumps({"name": group, "max_node_count": self.ceiling}).encode()
        return one

    def servers(self, *, details: bool, name: str) -> Iterator[_Server]:
        assert not details
        assert name == "^science\\-dev"
        return map(_Server, SERVERS)


def on(rung: Rung, **budget: object) -> Settings:
    plain = parse(*configuration(GOOD / "smallest.yaml"))
    return braked(plain.model_copy(update={"budget": plain.budget.model_copy(update=budget)}), rung)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> _Cloud:
    made = _Cloud(200, GROUPS)
    monkeypatch.setattr(rung_in_force, "connect", lambda _: made)
    return made


def test_nodes_are_counted_by_the_names_of_their_servers(cloud: _Cloud) -> None:
    """Magnum's own count does not follow the autoscaler."""
    counts = spared_nodes(on(Rung.LOWER_CEILINGS), "dev", now=NOW)
    assert counts == {"default-worker": 1, "low": 3, "high": 1}
    assert [path for path, _ in cloud.asked] == [
        "/clusters/science-dev/nodegroups",
        "/clusters/science-dev/nodegroups/low",
    ], "only of a group with more nodes than its ceiling is to be"
    assert all(headers == {"OpenStack-API-Version": "container-infra 1.9"} for _, headers in cloud.asked)


@pytest.mark.parametrize(("ceiling", "low"), [(2, 2), (3, 3), (4, 3), (None, 3)])
def test_a_node_that_is_being_replaced_raises_no_ceiling(
    cloud: _Cloud, ceiling: int | None, low: int
) -> None:
    """For a while there are two servers for one node: spared, they would be a raise, which may be refused."""
    cloud.ceiling = ceiling
    assert spared_nodes(on(Rung.LOWER_CEILINGS), "dev", now=NOW)["low"] == low


@pytest.mark.parametrize("rung", [Rung.NORMAL, Rung.SHORTER_CULLING])
def test_where_no_ceiling_is_lowered_nobody_is_asked(cloud: _Cloud, rung: Rung) -> None:
    assert spared_nodes(on(rung), "dev", now=NOW) == {}
    assert cloud.asked == []


def test_before_there_is_a_cluster_there_is_nothing_to_spare(cloud: _Cloud) -> None:
    cloud.answer.status_code = 404
    assert spared_nodes(on(Rung.HIGH_CLOSED), "dev", now=NOW) == {}


@pytest.mark.parametrize(
    ("status", "body"), [(500, None), (200, {"nodegroups": [{"name": "low"}]}), (200, ["something else"])]
)
def test_what_cannot_be_counted_stops_the_run(cloud: _Cloud, status: int, body: object) -> None:
    """To go on would end the servers of those who work."""
    cloud.answer.status_code, cloud.answer._content = status, json.dumps(body).encode()
    with pytest.raises(pulumi.RunError, match=r"cannot be counted .* try again later"):
        spared_nodes(on(Rung.HIGH_CLOSED), "dev", now=NOW)


@pytest.mark.parametrize(("hours", "low"), [(0.9, 3), (0.93, 1), (1.0, 1)])
def test_a_shutdown_spares_nodes_for_an_hour(cloud: _Cloud, tmp_path: Path, hours: float, low: int) -> None:
    ledger = tmp_path / "usage.csv"
    states = (State(rung=Rung.SHUTDOWN, since=NOW - hours * HOUR),)
    write(tmp_path / "usage.rung.json", Standing(states=states, why="", lifts=""))
    assert spared_nodes(on(Rung.SHUTDOWN, ledger=str(ledger)), "dev", now=NOW)["low"] == low


def test_a_shutdown_ends_nobodys_server_for_an_hour_and_then_every(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The culler counts from a server's start: a greatest age of an hour would end most at its first look."""
    monkeypatch.setattr(pulumi.log, "info", lambda _: None)
    plain = parse(*configuration(GOOD / "smallest.yaml"))
    kept = plain.budget.model_copy(update={"ledger": str(tmp_path / "usage.csv")})
    plain = plain.model_copy(update={"budget": kept})
    shut = State(rung=Rung.SHUTDOWN, since=NOW)
    write(tmp_path / "usage.rung.json", Standing(states=(shut,), why="", lifts=""))
    # A run an hour later may be some minutes early, as the one that decided was late.
    ages = [
        rung_in_force.apply(plain, now=NOW + minutes * 60).culling.max_age_hours for minutes in (0, 50, 56)
    ]
    assert ages == [6, 6, 1]
    left = State(rung=Rung.NO_NEW_SERVERS, since=NOW + 25 * HOUR)
    write(tmp_path / "usage.rung.json", Standing(states=(shut, left), why="", lifts=""))
    assert rung_in_force.apply(plain, now=NOW + 50 * HOUR).culling.max_age_hours == 6


@pytest.mark.parametrize("kept", [None, "{"])
def test_a_shutdown_that_was_pinned_just_now_begins_now(
    cloud: _Cloud, tmp_path: Path, kept: str | None
) -> None:
    if kept is not None:
        (tmp_path / "usage.rung.json").write_text(kept)
    pinned = on(Rung.SHUTDOWN, ledger=str(tmp_path / "usage.csv"))
    assert spared_nodes(pinned, "dev", now=NOW)["low"] == 3
    assert spared_nodes(on(Rung.SHUTDOWN), "dev", now=NOW)["low"] == 3


def test_a_spared_node_stands_and_the_hub_goes_by_the_lowered_ceiling(cloud: _Cloud) -> None:
    lowered = on(Rung.LOWER_CEILINGS)
    spared = spared_nodes(lowered, "dev", now=NOW)
    made = run(lambda: gateway.build(lowered, FACTS, "dev", spared))
    assert [made.one(f"pools-{name}").inputs["maxNodeCount"] for name in ("low", "high")] == [3, 1]
    rooms = made.one("hub-release").inputs["values"]["hub"]["config"]["GatewaySpawner"]["rooms"]
    assert {room["pool"]: room["max_nodes"] for room in rooms} == {"low": 2, "high": 1}


@pytest.mark.parametrize(
    ("rung", "told"), [(Rung.NORMAL, "normal"), (Rung.SHORTER_CULLING, "shorter-culling")]
)
def test_the_rung_is_an_output_so_that_a_preview_shows_what_would_be_lifted(rung: Rung, told: str) -> None:
    assert run(lambda: gateway.build(on(rung), FACTS, "dev")).outputs["rung"] == told


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", fullmatch=True),
    st.lists(st.sampled_from(["low", "low-2", "high", "high-mem"]), max_size=8),
)
def test_each_server_counts_once_and_for_its_own_group(cluster: str, servers: list[str]) -> None:
    """Also of groups of which one begins with the other's name, and of long names, which are cut."""
    names = [f"{cluster[:30]}-abcdefghijkl-{group}-x7k2p-9vq8r" for group in servers]
    counts = node_counts(names, cluster, ["low", "low-2", "high", "high-mem"])
    assert {group: count for group, count in counts.items() if count} == {
        group: servers.count(group) for group in servers
    }
