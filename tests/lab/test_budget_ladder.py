"""The budget ladder in the lab's clock: the real scheduled run brakes a real gateway, and lets it go again.

Two weeks: an allocation that autoscaling alone would overdraw, and the next one, in which people use less.
The tests of this file run in order on one stack.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from openstack.connection import Connection

from allocation.ladder import Rung
from allocation.rates import su_per_hour
from allocation.times import HOUR
from lab import paths
from lab.accounting import books, faults, meter
from lab.accounting.faults import Fault
from lab.accounting.openstack import Cloud
from stacks import budget_job
from tests.lab.ladder_rehearsal import (
    CLUSTER,
    DAYS,
    FLAVORS,
    FLOOR,
    FULL,
    GRANTED,
    MOST,
    NAME,
    RESERVE,
    Rehearsal,
    begin,
    ceilings,
    hours_left,
    ladder_settings,
    left,
    pulumi_up,
)
from tests.lab.stack import Stack
from tests.lab.users_at_work import Users


@pytest.fixture(scope="module")
def beside(cloud: Connection) -> Counter[str]:
    """Flavors of the servers that run already, such as a rehearsal's."""
    return Counter(str(server.flavor.original_name) for server in cloud.compute.servers())


@pytest.fixture(scope="module")
def others(beside: Counter[str]) -> float:
    """SU/h that they burn."""
    return sum(su_per_hour(flavor) * count for flavor, count in beside.items())


@pytest.fixture(scope="module")
def quick_lab(lab_up: None) -> Iterator[None]:
    """Nodes that come and go within seconds. Afterwards a rehearsal's delays, clock and usage are back."""
    delays, fault = paths.STATE / "autoscaler.json", faults.read()
    kept = delays.read_text() if delays.exists() else None
    with books.alone():
        booked = books.load()
    faults.switch(Fault.NONE)
    delays.write_text(json.dumps({"scale_up": 0, "node_start": 0, "scale_down": 4}))
    yield
    delays.unlink()
    if kept is not None:
        delays.write_text(kept)
    with books.alone():
        books.save(booked)
    faults.switch(fault)


@pytest.fixture(scope="module")
def rehearsal(
    lab_environment: dict[str, str],
    quick_lab: None,
    beside: Counter[str],
    others: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rehearsal]:
    """The gateway, standing, with nobody on it."""
    folder = tmp_path_factory.mktemp("ladder")
    stack = Stack(NAME, folder, lab_environment)
    stack.write(ladder_settings(folder / "usage.csv", beside))

    def kubectl(*arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            ["kubectl", "--context", CLUSTER, *arguments],
            env=lab_environment, input=given, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        stack.up()
        yield Rehearsal(stack, folder, lab_environment, Users(kubectl, FLAVORS, others + 8))
    finally:
        stack.destroy()


def test_autoscaling_alone_overdraws_the_allocation(rehearsal: Rehearsal, others: float) -> None:
    rehearsal.users.wanted, rehearsal.users.forgotten = {"low": 5, "high": 2}, 2
    rehearsal.users.act()
    begin(others)
    meter.jump(Cloud(), hours_left() * HOUR)
    assert left() == pytest.approx(GRANTED - FULL * DAYS * 24, abs=5)
    assert left() < -3000


def test_the_first_rung_is_climbed_as_soon_as_the_use_is_known(rehearsal: Rehearsal, others: float) -> None:
    begin(others)
    decision, _ = rehearsal.run()
    assert (decision["rung"], decision["applied"]) == ("normal", False)
    decision, said = rehearsal.after(6)
    assert (decision["rung"], decision["applied"]) == ("shorter-culling", True)
    assert "update hub-release" in said


def test_one_run_at_a_time_and_one_that_is_killed_is_made_good_by_the_next(
    rehearsal: Rehearsal, cloud: Connection
) -> None:
    rehearsal.users.act()
    meter.jump(Cloud(), 6 * HOUR)
    with rehearsal.settings_in_place(), rehearsal.job() as job:
        pulumi = pulumi_up(job)
        with rehearsal.job() as second:
            _, said = second.communicate(timeout=120)
        assert (second.returncode, "Another run on" in said) == (budget_job.BUSY, True)
        job.kill()
        _, alive = psutil.wait_procs([pulumi], timeout=300)
        assert not alive, "pulumi up ends by itself"

    decision, _ = rehearsal.run()
    assert (decision["rung_before"], decision["rung"]) == ("lower-ceilings", "lower-ceilings")
    assert ceilings(cloud) == {"low": 5, "high": 2}, "the nodes that run are left standing"


def test_the_ceilings_follow_the_nodes_and_users_are_told(rehearsal: Rehearsal, cloud: Connection) -> None:
    decision, said = rehearsal.after(6)
    assert decision["rung"] == "high-closed"
    assert "price of the node pools" in said
    assert ceilings(cloud) == {"low": 4, "high": 1}
    spawner = rehearsal.users.deployed()["hub"]["config"]["GatewaySpawner"]
    assert "High power cannot be started for now" in spawner["announcement"]


def test_a_raise_that_is_refused_does_not_stop_the_run(rehearsal: Rehearsal, cloud: Connection) -> None:
    """On this rung half of it is asked for, of an allocation that without it would just last."""
    with rehearsal.raised("low", 60):
        decision, said = rehearsal.run()
    assert decision["rung"] == "high-closed"
    assert "The change is refused, as gateway:budget.policy is enforce." in said
    assert decision["held"] == {"low": "1 to 4 m3.quad (asked for: 1 to 30 m3.quad)"}
    assert ceilings(cloud) == {"low": 4, "high": 1}


def test_without_the_accounting_service_the_rung_stays(rehearsal: Rehearsal) -> None:
    faults.switch(Fault.SERVER_ERROR)
    try:
        decision, said = rehearsal.after(24)
    finally:
        faults.switch(Fault.NONE)
    assert decision["rung"] == "high-closed"
    assert "Recording failed, and the run goes on with old figures" in said


def test_with_the_money_nearly_gone_nobody_starts_and_then_all_is_shut_down_in_good_order(
    rehearsal: Rehearsal, others: float, cloud: Connection
) -> None:
    # To where what is left is what running servers may take, 7 h of 12 SU/h. The servers are new ones then,
    # so that they are not too old before their last hour begins.
    rehearsal.users.act()
    spendable = left() - RESERVE - (FLOOR + others) * hours_left()
    meter.jump(Cloud(), (spendable / 12 - 6.5 - 0.2) * HOUR)
    decision, _ = rehearsal.after(0.2)
    assert decision["rung"] == "no-new-servers"
    assert "servers that run may take 84" in decision["why"]
    running = dict(rehearsal.users.servers)
    assert len(running) == 4

    decision, said = rehearsal.after(4.7)
    assert rehearsal.users.servers == running, "nobody could start one, and nobody's was ended"
    assert decision["rung"] == "shutdown"
    assert "hub-backup-before-upgrade" in said

    rehearsal.users.act()
    assert rehearsal.users.servers == running, "the culler leaves an hour to save one's work"
    # They are more than six hours old then, for which the culler ends them before the nodes go.
    meter.jump(Cloud(), 1.2 * HOUR)
    rehearsal.users.act()
    assert rehearsal.users.servers == {}
    decision, _ = rehearsal.run()
    assert decision["rung"] == "shutdown"
    assert rehearsal.users.deployed()["cull"]["maxAge"] == HOUR, "nobody's server outlives that hour"
    assert ceilings(cloud) == {"low": 1, "high": 1}
    assert not decision["stale"]


def test_the_allocation_ends_with_the_reserve_intact(rehearsal: Rehearsal) -> None:
    rehearsal.users.act()
    meter.jump(Cloud(), (hours_left() - 0.01) * HOUR)
    assert 0 < hours_left() < 0.1
    assert left() >= RESERVE
    stood = [line["rung"] for line in rehearsal.lines()]
    assert list(dict.fromkeys(stood)) == [rung.title for rung in Rung]


def test_with_less_use_in_the_next_allocation_every_rung_is_left_in_order(
    rehearsal: Rehearsal, others: float, cloud: Connection
) -> None:
    rehearsal.users.wanted, rehearsal.users.forgotten = {"low": 2, "high": 1}, 0
    begin(others)
    decision, _ = rehearsal.run()
    assert decision["rung"] == "shutdown"
    assert decision["pressure"] > 1, "as people used it so far, this allocation would be overdrawn too"
    stood = [rehearsal.after(24.1)[0]["rung"] for _ in range(5)]
    assert stood == [rung.title for rung in sorted(Rung, reverse=True)][1:]
    assert ceilings(cloud) == MOST
    spawner = rehearsal.users.deployed()["hub"]["config"]["GatewaySpawner"]
    assert not spawner.get("announcement")


def test_the_log_explains_each_decision(rehearsal: Rehearsal) -> None:
    lines = rehearsal.lines()
    assert [line["rung_before"] for line in lines[1:]] == [line["rung"] for line in lines[:-1]]
    for before, after in itertools.pairwise(lines):
        assert before["at"] < after["at"]
        assert after["why"] and after["lifts"]
        if after["rung"] != before["rung"]:
            assert after["since"] == after["at"]
