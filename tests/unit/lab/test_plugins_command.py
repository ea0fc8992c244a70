"""The command plugin's own decisions, and programs that it runs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.children import Children
from lab.plugins.command import common, ssh
from lab.plugins.command.globs import matching
from lab.plugins.differences import Change
from lab.plugins.provider import Cancellation, CancelledError, PluginError, Resource
from lab.plugins.values import Secret


def resource(old: dict[str, Any], new: dict[str, Any]) -> Resource:
    """A command whose inputs change."""
    return Resource(urn="urn:pulumi:s::p::command:local:Command::c", old_inputs=old, inputs=new)


def test_triggers_replace_and_all_else_updates() -> None:
    found = common.difference(resource({"triggers": ["a"], "stdin": "a"}, {"triggers": ["b"], "stdin": "b"}))
    assert found.changes == {("triggers", 0): Change.UPDATE, ("stdin",): Change.UPDATE}
    assert list(found.replaces) == [("triggers", 0)]
    assert common.difference(resource({}, {"triggers": ["a"]})).replaces == [("triggers",)]


def test_to_hide_an_input_is_no_reason_to_run_again() -> None:
    assert common.difference(resource({"stdin": "a"}, {"stdin": Secret("a")})).changes == {}


def test_the_next_run_is_told_what_the_last_one_printed() -> None:
    before = {"stdout": "out", "stderr": ""}
    assert common.environment({"environment": {"A": "b"}}, before) == {
        "A": "b",
        "PULUMI_COMMAND_STDOUT": "out",
    }
    assert common.environment({"addPreviousOutputInEnv": False}, before) == {}


def test_a_secret_command_is_not_shown_when_it_fails() -> None:
    shown = str(common.failure("exit status 1", "login hunter2", {"create": Secret("login hunter2")}, "no"))
    assert "hunter2" not in shown
    assert "login" in str(common.failure("exit status 1", "login", {"create": "login"}, "no"))


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["*.txt"], ["a.txt"]),
        (["**.txt"], ["a.txt", "deep/b.txt"]),
        (["**", "!deep/*"], ["a.txt", "c.md"]),
        (["!a.txt", "*.txt"], ["a.txt"]),
        (["{a,x}.t?t", "c.[a-m]d"], ["a.txt", "c.md"]),
    ],
)
def test_patterns_of_files(tmp_path: Path, patterns: list[str], names: list[str]) -> None:
    for name in ("a.txt", "deep/b.txt", "c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(matching(tmp_path, patterns)) == names


# Connections


def test_a_connections_defaults_are_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    found = ssh.target({"host": "h", "proxy": {"host": "p", "port": 2222.0}})
    assert (found.user, found.port, found.dial_errors, found.dial_timeout) == ("root", 22, 10, 15.0)
    assert found.proxy is not None
    assert (found.proxy.host, found.proxy.port) == ("p", 2222)


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "ssh-ed25519 not*base64"])
def test_a_host_key_that_cannot_be_read_is_refused(key: str) -> None:
    with pytest.raises(PluginError, match="TYPE BASE64"):
        ssh.parse_host_key(key)


def test_a_private_key_that_cannot_be_read_is_refused_without_being_quoted() -> None:
    with pytest.raises(PluginError, match="private_key cannot be used") as error:
        ssh.parse_private_key("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", None)
    assert "hunter2" not in str(error.value)


# Programs


def test_a_programs_output_is_captured_as_it_comes() -> None:
    seen: list[tuple[str, str]] = []
    finished = Children(Cancellation()).run(
        ["sh", "-c", "cat; echo problem >&2; exit 4"],
        environment=os.environ,
        stdin="given\n",
        line=lambda stream, text: seen.append((stream, text)),
    )
    assert (finished.code, finished.stdout, finished.stderr) == (4, "given\n", "problem\n")
    assert sorted(seen) == [("stderr", "problem"), ("stdout", "given")]


def test_an_interrupt_lets_a_program_tidy_up_and_ends_what_it_started(tmp_path: Path) -> None:
    ready, tidied, late = tmp_path / "ready", tmp_path / "tidied", tmp_path / "late"
    script = f"trap 'touch {tidied}; exit 1' INT; (sleep 3; touch {late}) & touch {ready}; sleep 30 & wait"
    cancellation = Cancellation()

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.05)
        cancellation.cancel()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(CancelledError):
        Children(cancellation).run(["sh", "-c", script], environment=os.environ)
    assert tidied.exists()
    time.sleep(3.5)
    assert not late.exists()


def test_nothing_is_started_after_an_interrupt_but_a_last_question() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(CancelledError):
        Children(cancellation).run(["true"], environment=os.environ)
    assert Children(cancellation).run(["true"], environment=os.environ, despite_interrupt=True).code == 0
