"""A project with a stack, for tests of the scheduled run: a cloud on loopback, a pulumi that takes notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from allocation import ledger, times
from components.node_pools import TYPE
from stacks.budget_job import RECORD_SECONDS
from stacks.held_pools import VARIABLE
from stacks.pulumi_runs import TERSE
from tests.unit.allocation.fake_cloud import FakeCloud, record, running
from tests.unit.settings_files import GOOD, PROGRAM

CPU = "jetstream2.indiana.xsede.org"
NOTES = "arguments.jsonl"

PULUMI = f"""#!{sys.executable}
import json, os, pathlib, shutil, signal, sys, time
here = pathlib.Path(__file__).parent
with (here / {NOTES!r}).open("a") as notes:
    notes.write(json.dumps(sys.argv[1:]) + chr(10))
(here / "python").write_text(shutil.which("python") or "none")
answers = json.loads((here / "answers.json").read_text())
answer = answers[sys.argv[1]]
if {VARIABLE!r} in os.environ:
    (here / f"told-{{sys.argv[1]}}.json").write_text(os.environ[{VARIABLE!r}])
    answer = answers["held"]
if sys.argv[1] == "cancel":
    (here / "unlocked").touch()
if (here / "unlocked").exists():
    answer = {{"says": "done", "status": 0}}
def stop(*_):
    with (here / "interrupts").open("a") as file:
        file.write("one" + chr(10))
    sys.exit(255)
signal.signal(signal.SIGINT, stop)
while answer.get("waits") and not (here / "go").exists():
    time.sleep(0.05)
print(answer["says"], flush=True)
print(answer.get("warns", ""), file=sys.stderr, end="")
if answer.get("waits"):
    (here / "ended").touch()
sys.exit(answer["status"])
"""
"""Answers as it is told, if need be not before it may go, and writes down how it was called."""

CHANGE = {"op": "update", "urn": "urn:pulumi:prod::science-gateway::openstack:x:NodeGroup::pools-low"}
SAME = {"op": "same", "urn": "urn:pulumi:prod::science-gateway::pulumi:pulumi:Stack::science-gateway-prod"}


class Scene:
    """A project's folder with a stack ``prod``, a ledger, a pulumi and a cloud."""

    def __init__(self, folder: Path, cloud: FakeCloud) -> None:
        self.folder, self.cloud = folder, cloud
        self.ledger = folder / "usage.csv"
        self.rung_file = folder / "usage.rung.json"
        done = {"says": "updated", "status": 0}
        self.answers: dict[str, dict[str, Any]] = {"up": done, "cancel": done}
        self.record_seconds = RECORD_SECONDS
        self.previews([SAME, CHANGE])
        (folder / "bin").mkdir()
        pulumi = folder / "bin" / "pulumi"
        pulumi.write_text(PULUMI)
        pulumi.chmod(0o755)
        self.today = datetime.now(UTC).date()
        self.start = self.today - timedelta(days=60)
        self.end = self.today + timedelta(days=300)
        self.settings(f"{{ ledger: {self.ledger}, reporting_lag_hours: 24 }}")
        cloud.says(self.says(used=40_000.0, allocated=500_000.0))

    def settings(self, budget: str) -> None:
        text = (GOOD / "smallest.yaml").read_text().replace("name: lab", "name: gateway")
        (self.folder / "Pulumi.prod.yaml").write_text(f"{text}  gateway:budget: {budget}\n")

    def says(self, *, used: float, allocated: float) -> dict[str, Any]:
        dates = {"start_date": str(self.start), "end_date": str(self.end)}
        return record(service_units_used=used, service_units_allocated=allocated, **dates)

    def past(self, *, burn: float, allocated: float, newest_days_ago: int = 1) -> None:
        """A ledger of daily figures at an even burn in SU/h."""
        begins = times.day_begins(self.start)
        days = 60 - newest_days_ago
        rows = [
            ledger.Row(begins + day * 86400, CPU, burn * 24 * day, allocated, self.start, self.end)
            for day in range(1, days)
        ]
        ledger.append(self.ledger, rows)
        self.cloud.says(self.says(used=burn * 24 * 59, allocated=allocated))

    def previews(self, steps: list[dict[str, Any]], *, status: int = 0, told: str = "the price") -> None:
        says = json.dumps({"steps": steps, "diagnostics": [{"message": f"{told}\n", "severity": "info"}]})
        self.answers["preview"] = {"says": says, "status": status}

    def refuses(self, stands: dict[str, Any], *, held: dict[str, Any]) -> None:
        """A preview is refused, but not with the pools as they stand."""
        self.previews([], status=255, told="error: before hook failed: The change is refused, as ...")
        state = {
            "deployment": {"resources": [{"type": "x:y:Z"}, {"type": TYPE, "inputs": {"pools": stands}}]}
        }
        self.answers["stack"] = {"says": json.dumps(state), "status": 0}
        self.answers["held"] = held

    def told(self, command: str) -> dict[str, Any] | None:
        """The pools as they stand, as a command of pulumi was told of them; None if it was not."""
        note = self.folder / "bin" / f"told-{command}.json"
        return json.loads(note.read_text()) if note.exists() else None

    def run(self, *arguments: str, stack: str = "prod") -> subprocess.CompletedProcess[str]:
        with self.started(*arguments, stack=stack) as process:
            output, errors = process.communicate(timeout=120)
        assert "Traceback" not in output + errors
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def started(self, *arguments: str, stack: str = "prod") -> subprocess.Popen[str]:
        (self.folder / "bin" / "answers.json").write_text(json.dumps(self.answers))
        code = (
            "import pathlib, sys; from stacks import budget_job; "
            f"budget_job.PROJECT = pathlib.Path({str(self.folder)!r}); "
            f"budget_job.RECORD_SECONDS = {self.record_seconds}; sys.exit(budget_job.main())"
        )
        environment = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
        environment |= {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "OS_CLIENT_CONFIG_FILE": str(self.folder / "clouds.yaml"),
        }
        return subprocess.Popen(
            [sys.executable, "-c", code, "--stack", stack, *arguments],
            cwd=PROGRAM, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def called(self) -> list[list[str]]:
        """How pulumi was called so far."""
        notes = self.folder / "bin" / NOTES
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log of decisions, and of what became of each run."""
        log = self.folder / "usage.decisions.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The decisions of it."""
        return [line for line in self.log if "rung" in line]

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """What became of each run."""
        return [line for line in self.log if "applied" in line]


EXPORT = ["stack", "export", "--stack", "prod"]
PREVIEW = ["preview", "--stack", "prod", "--non-interactive", "--json"]
UP = ["up", "--stack", "prod", "--non-interactive", "--yes", "--skip-preview", *TERSE]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running() as cloud:
        cloud.clouds_yaml(tmp_path)
        yield Scene(tmp_path, cloud)
