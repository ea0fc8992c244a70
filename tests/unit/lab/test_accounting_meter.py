"""Changes of the books by the service and the command line."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import cli
from lab.accounting import books, commands, faults, meter
from lab.accounting.books import Allocation
from lab.accounting.openstack import Cloud
from lab.accounting.rates import CPU, Server
from lab.errors import LabError

QUAD = Server(flavor="m3.quad", vcpus=4, state="ACTIVE")


class Project(Cloud):
    """A project whose servers the test sets; None: Nova does not answer."""

    def __init__(self, *servers: Server) -> None:
        self.now: list[Server] | None = list(servers)

    def project(self) -> str:
        return "project"

    def servers(self) -> list[Server]:
        if self.now is None:
            raise LabError("Nova does not tell which servers run")
        return self.now


@pytest.fixture(autouse=True)
def lab_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books of a lab that has just come up."""
    monkeypatch.setattr(books, "FILE", tmp_path / "books.json")
    monkeypatch.setattr(books, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(faults, "FILE", tmp_path / "fault")
    meter.open_books()


def used() -> float:
    found = books.load()
    return found.used(CPU, found.clock.at(time.time()))


def test_books_are_opened_once() -> None:
    meter.look(Project(QUAD))
    meter.open_books()
    assert books.load().burn(CPU) == 4


def test_a_jump_first_looks_at_the_servers() -> None:
    meter.look(Project())
    meter.jump(Project(QUAD), 86400)
    assert used() == pytest.approx(96, abs=0.1)


def test_days_add_up_jump_by_jump() -> None:
    project = Project(QUAD)
    for day in range(60):
        if day == 30:
            project.now = [QUAD, QUAD]
        meter.jump(project, 86400)
    assert used() == pytest.approx(30 * 96 + 30 * 192, abs=0.1)


def test_nothing_jumps_while_nova_does_not_answer() -> None:
    project = Project(QUAD)
    meter.look(project)
    project.now = None
    with pytest.raises(LabError, match="Nova"):
        meter.jump(project, 86400)
    assert books.load().clock.at(time.time()) == pytest.approx(time.time(), abs=5)
    assert books.load().burn(CPU) == 4


def test_reset_begins_anew_with_the_servers_that_run() -> None:
    project = Project(QUAD)
    meter.jump(project, 86400)
    books.FILE.write_text("damaged")
    meter.reset(project)
    assert used() == pytest.approx(0, abs=0.1)
    assert books.load().burn(CPU) == 4


def test_an_allocation_that_has_not_started_or_ends_before_is_refused() -> None:
    old = books.load()
    today = books.day(time.time())
    with pytest.raises(LabError, match="jump first"):
        meter.grant(Allocation(allocated=1, start=today + timedelta(days=9), end=today + timedelta(days=99)))
    with pytest.raises(LabError, match="later end"):
        meter.grant(Allocation(allocated=1, start=today, end=today - timedelta(days=1)))
    assert books.load() == old


def test_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "Cloud", lambda: Project(QUAD))
    run = CliRunner().invoke

    before = json.loads(run(cli.app, ["clock", "--json"]).stdout)["now"]
    jumped = json.loads(run(cli.app, ["clock", "--jump", "2d", "--json"]).stdout)
    assert jumped["now"] - before == pytest.approx(2 * 86400, abs=5)
    assert "2.00 days ahead" in run(cli.app, ["clock"]).stdout
    assert json.loads(run(cli.app, ["clock", "--speed", "3600", "--json"]).stdout)["speed"] == 3600

    shown = json.loads(run(cli.app, ["accounting", "--allocated", "5000", "--fault", "lag", "--json"]).stdout)
    assert (shown["allocated"], shown["fault"], shown["burn"]) == (5000, "lag", {CPU: 4})
    assert shown["used"][CPU] >= 192
    assert faults.read() is faults.Fault.LAG
    assert "4 SU/h" in run(cli.app, ["accounting", "--fault", "none"]).stdout
    assert faults.read() is faults.Fault.NONE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["clock", "--jump", "1w"], "'1w'"),
        (["clock", "--jump", "1d", "--reset"], "one at a time"),
        (["accounting", "--start", "2000-02-01", "--end", "2000-01-01"], "--end 2000-01-01"),
    ],
)
def test_refused_commands_say_why_and_change_nothing(arguments: list[str], told: str) -> None:
    old = books.load()
    answer = CliRunner().invoke(cli.app, arguments)
    assert (answer.exit_code, books.load()) == (1, old)
    assert told in answer.stderr
