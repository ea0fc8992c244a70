"""The lab's command line: what each command prints, asks and ends with; the lab itself is stood in for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab import cli, environment, lifecycle, paths, processes
from lab import status as lab_status
from lab.errors import LabError
from lab.status import ServiceStatus, Status, ToolStatus

UP = Status(
    services=[ServiceStatus(name="nova", pid=4711, ports=[8774], answers=True, memory_mib=100.5)],
    tools=[ToolStatus(name="helm", version="3.18.2", source="on PATH")],
)


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command line had the lab do."""
    calls: list[str] = []
    for name in ("up", "down", "reset"):
        monkeypatch.setattr(lifecycle, name, lambda name=name: calls.append(name))
    monkeypatch.setattr(lab_status, "status", lambda: UP)
    for name in ("STATE", "RUN", "LOG"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    # Set by the commands themselves; put back after the test.
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    return calls


def lab(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), input=answer)


def test_up_prints_the_status_where_a_script_asks(done: list[str]) -> None:
    assert lab("up").stdout == ""
    answer = lab("up", "--json")
    assert (answer.exit_code, done) == (0, ["up", "up"])
    printed = json.loads(answer.stdout)
    assert printed["up"] is True
    assert printed["memory_mib"] == 100.5
    assert printed["services"][0]["name"] == "nova"
    assert printed["tools"][0]["source"] == "on PATH"


def test_down_says_that_nothing_runs(done: list[str]) -> None:
    answer = lab("down", "--json")
    assert (answer.exit_code, done) == (0, ["down"])
    assert json.loads(answer.stdout) == {"up": False, "running": []}


@pytest.mark.parametrize(("answer", "happens"), [("y\n", ["reset"]), ("n\n", []), ("\n", []), (None, [])])
def test_reset_asks_first(done: list[str], answer: str | None, happens: list[str]) -> None:
    result = lab("reset", answer=answer)
    assert f"Remove everything in {paths.STATE}?" in result.output
    assert done == happens
    assert result.exit_code == (0 if happens else 1)


def test_reset_of_a_script_asks_nothing_and_says_what_is_gone(done: list[str]) -> None:
    answer = lab("reset", "--yes", "--json")
    assert (answer.exit_code, done) == (0, ["reset"])
    assert json.loads(answer.stdout) == {"up": False, "removed": str(paths.STATE)}


def test_logs_are_the_last_lines(done: list[str]) -> None:
    paths.LOG.mkdir()
    processes.log_file("nova").write_text("one\ntwo\nthree\n")
    answer = lab("logs", "nova", "--lines", "2", "--json")
    assert json.loads(answer.stdout) == {
        "service": "nova",
        "file": str(processes.log_file("nova")),
        "lines": ["two", "three"],
    }


def test_logs_of_an_unknown_service_name_the_known_ones(done: list[str]) -> None:
    paths.LOG.mkdir()
    processes.log_file("nova").touch()
    answer = lab("logs", "novel")
    assert (answer.exit_code, answer.output) == (1, "There is no log of a service 'novel'. Logs: nova.\n")


def test_env_prints_the_same_variables_for_shells_and_scripts(done: list[str]) -> None:
    shell, script = lab("env"), lab("env", "--json")
    assert shell.exit_code == script.exit_code == 0
    variables = json.loads(script.stdout)
    assert variables == environment.variables(os.environ)
    assert variables["OS_CLOUD"] == "lab"
    assert f"export KUBECONFIG={paths.STATE / 'kubeconfig'}" in shell.stdout.splitlines()


@pytest.mark.parametrize("command", ["up", "down", "status"])
@pytest.mark.parametrize("error", [LabError("The cure."), OSError(28, "No space left on device")])
def test_a_failure_is_a_sentence(
    done: list[str], command: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(lab_status if command == "status" else lifecycle, command, fail)
    answer = lab(command)
    assert answer.exit_code == 1
    assert isinstance(answer.exception, SystemExit)
    assert answer.output.endswith("The cure.\n") or "No space left on device" in answer.output


def test_no_command_asks_the_lab_through_a_proxy(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it starts inherits that: the keeper asks OpenStack as well."""
    monkeypatch.setenv("no_proxy", "example.org")
    seen: list[str] = []

    def look() -> None:
        seen.extend(os.environ[name] for name in ("NO_PROXY", "no_proxy"))

    monkeypatch.setattr(lifecycle, "up", look)
    assert lab("up").exit_code == 0
    assert seen == ["example.org,127.0.0.1"] * 2
