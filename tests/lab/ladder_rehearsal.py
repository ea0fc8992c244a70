"""A gateway on the budget ladder, in the lab's clock: its allocation, users, and the real scheduled run."""

from __future__ import annotations

import contextlib
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
import yaml
from openstack.connection import Connection

from allocation.times import DAY, HOUR, day_ends
from lab import paths
from lab.accounting import books, meter
from lab.accounting.openstack import Cloud
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

    @contextmanager
    def raised(self, pool: str, most: int) -> Iterator[None]:
        """As after a commit that lets a pool have more nodes."""
        written = self._stack.file.read_text()
        changed = yaml.safe_load(written)
        changed["config"]["gateway:pools"][pool]["max"] = most
        self._stack.file.write_text(yaml.safe_dump(changed))
        try:
            yield
        finally:
            self._stack.file.write_text(written)

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
        """The decisions in the log, without the lines of what became of each run."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if "rung" in line]


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
            # One that has just ended has no command line any more.
            with contextlib.suppress(psutil.NoSuchProcess):
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
