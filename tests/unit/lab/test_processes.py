"""The lab's processes: started once, stopped by pid, never mistaken for a stranger."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import paths, processes
from lab.errors import LabError
from lab.processes import Service

SLEEP = Service(name="sleeper", command=[sys.executable, "-c", "import time; time.sleep(60)"])


pytestmark = pytest.mark.usefixtures("own_processes")


def test_start_is_idempotent_and_stop_ends_the_process() -> None:
    assert processes.start(SLEEP)
    assert not processes.start(SLEEP)
    process = processes.find("sleeper")
    assert process is not None

    processes.stop("sleeper")

    assert not process.is_running()
    assert processes.known() == []


def test_killed_process_is_started_again() -> None:
    processes.start(SLEEP)
    first = processes.find("sleeper")
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)

    assert processes.find("sleeper") is None
    assert processes.start(SLEEP)


def test_stranger_with_the_recorded_pid_is_left_alone() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        paths.RUN.mkdir()
        record = {"pid": stranger.pid, "started": "another-boot 4711"}
        processes.pid_file("sleeper").write_text(json.dumps(record))

        assert processes.find("sleeper") is None
        processes.stop("sleeper")

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_whose_starter_was_killed_before_it_wrote_the_pid_file_is_found_again() -> None:
    processes.start(SLEEP)
    orphan = processes.find("sleeper")
    assert orphan is not None
    processes.pid_file("sleeper").unlink()

    processes.adopt_orphans()

    assert processes.find("sleeper") == orphan
    assert not processes.start(SLEEP)
    assert [path.name for path in paths.RUN.iterdir()] == ["sleeper.json"]
    processes.stop("sleeper")
    assert not orphan.is_running()


def test_neither_children_nor_another_labs_processes_are_taken_for_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Service(
        name="parent",
        command=[
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print('set', flush=True)\n"
            "time.sleep(60)",
        ],
    )
    processes.start(parent)
    while "set" not in processes.last_lines("parent"):
        time.sleep(0.05)
    process = processes.find("parent")
    assert process is not None
    (child,) = process.children()
    try:
        processes.stop("parent")
        processes.adopt_orphans()
        assert processes.known() == []
    finally:
        child.kill()

    processes.start(SLEEP)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(paths, "RUN", tmp_path / "another")
        processes.adopt_orphans()
        assert processes.known() == []


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_damaged_pid_file_means_not_running(content: str) -> None:
    paths.RUN.mkdir()
    processes.pid_file("sleeper").write_text(content)
    assert processes.find("sleeper") is None


def test_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = Service(
        name="stubborn",
        command=[
            sys.executable,
            "-c",
            "import signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('set', flush=True)\n"
            "time.sleep(60)",
        ],
    )
    processes.start(stubborn)
    while "set" not in processes.last_lines("stubborn"):
        time.sleep(0.05)
    process = processes.find("stubborn")
    assert process is not None

    processes.stop("stubborn", grace=0.2)

    assert not process.is_running()


def test_taken_port_is_reported_with_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        service = Service(name="sleeper", command=SLEEP.command, ports=[port])

        with pytest.raises(
            LabError, match=f"Port {port} .* sleeper needs, is taken by process {os.getpid()}"
        ):
            processes.start(service)
    assert processes.known() == []


def test_process_that_dies_while_starting_shows_its_last_words() -> None:
    dying = Service(
        name="dying", command=[sys.executable, "-c", "raise SystemExit('no database')"], ready=lambda: False
    )
    processes.start(dying)
    with pytest.raises(LabError, match=r"dying died while starting(.|\n)*no database"):
        processes.wait_ready(dying, timeout=20)


def test_process_that_never_answers_is_reported_in_time() -> None:
    mute = Service(name="sleeper", command=SLEEP.command, ready=lambda: False)
    processes.start(mute)
    with pytest.raises(LabError, match="did not answer within 0 s"):
        processes.wait_ready(mute, timeout=0.2)
