"""`up`, `down` and `reset` with nothing to install and one process to keep."""

from __future__ import annotations

import fcntl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab import internet, kubernetes, lifecycle, paths, processes

KEEPER = processes.Service(
    name="keeper", command=[sys.executable, "-c", "import time; time.sleep(60)"], ready=lambda: True
)


@pytest.fixture(autouse=True)
def small_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A lab of one process, in a folder of its own."""
    state = tmp_path / ".lab"
    monkeypatch.setattr(paths, "STATE", state)
    monkeypatch.setattr(paths, "RUN", state / "run")
    monkeypatch.setattr(paths, "LOG", state / "log")
    monkeypatch.setattr(paths, "PULUMI_BACKEND", state / "pulumi" / "backend")
    for name in ("_tools", "_cloud"):
        monkeypatch.setattr(lifecycle, name, lambda: None)
    monkeypatch.setattr(internet, "prepare", lambda: None)
    monkeypatch.setattr(internet, "services", list)
    monkeypatch.setattr(kubernetes, "service", lambda: KEEPER)
    yield
    for name in processes.known():
        processes.stop(name, grace=0.1)


def keeper() -> psutil.Process:
    found = processes.find("keeper")
    assert found is not None
    return found


def test_up_makes_the_folder_where_pulumi_keeps_its_states() -> None:
    lifecycle.up()
    assert paths.PULUMI_BACKEND.is_dir()


def test_up_again_starts_nothing_and_down_keeps_what_there_is() -> None:
    lifecycle.up()
    first = keeper()
    lifecycle.up()
    assert keeper() == first

    (paths.STATE / "kept").touch()
    lifecycle.down()

    assert not first.is_running()
    assert processes.known() == []
    assert (paths.STATE / "kept").exists()


def test_a_process_that_nobody_wrote_down_is_neither_started_twice_nor_left() -> None:
    """Its starter was killed between the two."""
    lifecycle.up()
    first = keeper()
    processes.pid_file("keeper").unlink()
    lifecycle.up()
    assert keeper() == first

    processes.pid_file("keeper").unlink()
    lifecycle.down()
    assert not first.is_running()


def test_reset_stops_all_and_removes_what_there_is_and_up_begins_anew() -> None:
    lifecycle.up()
    first = keeper()
    (paths.STATE / "kept").touch()

    lifecycle.reset()

    assert not first.is_running()
    assert not paths.STATE.exists()
    lifecycle.up()
    assert keeper().is_running()
    assert not (paths.STATE / "kept").exists()


def test_a_command_that_waited_for_a_reset_holds_the_lock_that_others_see() -> None:
    """The reset removes the file whose lock they wait for."""
    inside, leave = threading.Event(), threading.Event()

    def wait_for_the_reset() -> None:
        with lifecycle._alone():
            inside.set()
            leave.wait(10)

    waiting = threading.Thread(target=wait_for_the_reset)
    with lifecycle._alone():
        waiting.start()
        # As long as it cannot be inside, it waits: before the reset's end or after.
        assert not inside.wait(0.3)
        for path in paths.STATE.iterdir():
            path.unlink()
        paths.STATE.rmdir()
    try:
        assert inside.wait(10)
        with (paths.STATE / "lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        leave.set()
        waiting.join()
