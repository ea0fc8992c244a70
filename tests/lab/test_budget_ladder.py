"""The budget ladder in the lab's clock: the real scheduled run brakes a real gateway, and lets it go again.

Two weeks: an allocation that autoscaling alone would overdraw, and the next one, in which people use less.
The tests of this file run in order on one stack.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from openstack.connection import Connection

from allocation.ladder import Rung
from allocation.rates import su_per_hour
from allocation.times import DAY, HOUR, day_ends
from lab import paths
from lab.accounting import books, faults, meter
from lab.accounting.faults import Fault
from lab.accounting.openstack import Cloud
from stacks import budget_job
from tests.lab import startup_code
from tests.lab.stack import Settings, Stack
from tests.lab.test_budget_hook import settings
from tests.lab.test_gateway import node_groups
from tests.lab.users_at_work import Users, now, used

NAME = "ladder"
CLUSTER = f"science-{NAME}"
FLAVORS = {"low": "m3.quad", "high": "m3.medium"}
MOST = {"low": 7, "high": 2}
FLOOR, FULL = 20.0, 52.0
"""SU/h of control plane, core node and one node of each pool; of all nodes."""

DAYS = 7
RESERVE = 100.0
GRANTED = FLOOR * DAYS * 24 + RESERVE + 2192
"""Of the 32 SU/h above the floor that users would take, 2,192 SU are there: for less than three days."""

SHIFTED_CLOCK = """
import time
_real = time.time
time.time = lambda: _real() + {seconds}
"""


class Rehearsal:
    """The stack, its users, and the scheduled run at the lab's time."""

    def __init__(self, stack: Stack, folder: Path, environment: dict[str, str], users: Users) -> None:
        self.users = users
        self.log = folder / "usage.decisions.jsonl"
        self._stack = stack
        self._folder = folder
        self._environment = environment

    @contextmanager
    def settings_in_place(self) -> Iterator[None]:
        """The settings where the scheduled run looks for them, beside the program."""
        file = paths.PROGRAM / f"Pulumi.{NAME}.yaml"
        file.write_text(self._stack.file.read_text())
        try:
            yield
        finally:
            file.unlink()

    def job(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts ``python -m stacks.budget_job``, for which it is as late as the lab's clock shows."""
        shift = SHIFTED_CLOCK.format(seconds=now() - time.time())
        later = startup_code.installed(self._folder / "site", shift)
        return subprocess.Popen(
            [sys.executable, "-m", "stacks.budget_job", "--stack", NAME, "--yes", *arguments],
            cwd=paths.PROGRAM,
            env={**self._environment, **later},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[dict[str, Any], str]:
        """Runs it to the end: its decision, and all else that it said. No server is ended by it."""
        with self.settings_in_place(), self.job("--json") as process:
            output, said = process.communicate(timeout=600)
        assert process.returncode == 0, output + said
        assert "Traceback" not in said
        assert self.users.pods() == dict.fromkeys(self.users.servers, "Running"), said
        decision: dict[str, Any] = json.loads(output)
        return decision, said

    def after(self, hours: float) -> tuple[dict[str, Any], str]:
        """Lets time pass, as users then use it, and runs the job."""
        self.users.act()
        meter.jump(Cloud(), hours * HOUR)
        return self.run()

    def lines(self) -> list[dict[str, Any]]:
        """The log of decisions."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def ladder_settings(ledger: Path, beside: Counter[str]) -> Settings:
    """Two pools, enforced, and no word of the servers that somebody else's tests left running."""
    made = settings(
        ledger=str(ledger),
        policy="enforce",
        reserve_su=RESERVE,
        beside=[{"flavor": flavor, "count": count} for flavor, count in beside.items()],
    )
    for pool, most in MOST.items():
        made["config"]["gateway:pools"][pool]["max"] = most
    return made


def begin(beside: float) -> None:
    """A new allocation from the lab's next midnight on, of the same size whatever else runs."""
    moment = now()
    meter.jump(Cloud(), DAY - moment % DAY + 1)
    first = books.day(now())
    last = books.day(now() + (DAYS - 1) * DAY)
    meter.grant(books.Allocation(allocated=GRANTED + beside * DAYS * 24, start=first, end=last))


def pulumi_up(job: subprocess.Popen[str]) -> psutil.Process:
    """The ``pulumi up`` that a job has begun.

    Raises:
        AssertionError: if none was seen.
    """
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and job.poll() is None:
        for child in psutil.Process(job.pid).children():
            if child.cmdline()[1:2] == ["up"]:
                return child
        time.sleep(0.1)
    raise AssertionError(f"no pulumi up was seen; the job's exit status is {job.poll()}")


def left() -> float:
    """SU left of the allocation."""
    return books.load().allocation.allocated - used()


def hours_left() -> float:
    """To the allocation's end."""
    return (day_ends(books.load().allocation.end) - now()) / HOUR


def ceilings(cloud: Connection) -> dict[str, int]:
    """The pools' most nodes, as Magnum has them."""
    groups = node_groups(cloud, CLUSTER)
    return {pool: int(groups[pool]["max_node_count"]) for pool in FLAVORS}


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
        # Pods of Jobs that have ended hold the hub's volume for an hour, and `destroy` would wait for that.
        kubectl("delete", "jobs", "--namespace", "jhub", "--all", "--cascade=foreground")
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
    # To where what is left is what running servers may take, 7 h of 12 SU/h; the last hour with new servers.
    rehearsal.users.act()
    spendable = left() - RESERVE - (FLOOR + others) * hours_left()
    meter.jump(Cloud(), (spendable / 12 - 6.5 - 1) * HOUR)
    decision, _ = rehearsal.after(1)
    assert decision["rung"] == "no-new-servers"
    assert "servers that run may take 84" in decision["why"]
    running = dict(rehearsal.users.servers)
    assert len(running) == 4

    decision, said = rehearsal.after(5)
    assert rehearsal.users.servers == running, "nobody could start one, and nobody's was ended"
    assert decision["rung"] == "shutdown"
    assert "hub-backup-before-upgrade" in said

    decision, _ = rehearsal.after(1)
    assert rehearsal.users.servers == {}, "an hour was left to save one's work"
    assert decision["rung"] == "shutdown"
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
