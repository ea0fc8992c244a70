"""A start that fails, a look that fails, a stop that fails: the desktop goes on or ends, and says so.

The programs are small shell scripts here; tests/image has the real ones.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_image.desktop.virtual_desktop import desktop as desktop_module
from jupyter_image.desktop.virtual_desktop import family, folder, programs, secret, supervisor
from jupyter_image.desktop.virtual_desktop.desktop import Desktop
from jupyter_image.desktop.virtual_desktop.keeper import Starter
from jupyter_image.desktop.virtual_desktop.log import Log
from jupyter_image.desktop.virtual_desktop.screen import Screen, ScreenError
from jupyter_image.desktop.virtual_desktop.settings import Settings, Size

PATIENCE_SECONDS = 60.0
"""The machine may be very busy."""
STAYS = 'echo "$$" >>"{noted}"; exec sleep 600'
"""A program that notes each start and runs until it is ended."""
XVFB = 'echo 99 >&"$2"; eval "exec $2>&-"; ' + STAYS
"""It says its display's number, to the descriptor of -displayfd; then there is nothing at that display."""
NO_MORE_PROCESSES = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop's folder, and programs of ours in the place of the system's."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in (*programs.XFCE, "x11vnc", "dbus-daemon", "Xvfb"):
        file = bin_folder / name
        text = (XVFB if name == "Xvfb" else STAYS).format(noted=tmp_path / name)
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", f"{bin_folder}:/usr/bin:/bin")
    monkeypatch.setattr(
        programs, "websockify", lambda _: [sys.executable, "-c", "import time; time.sleep(600)"]
    )
    # What a start puts there is gone after the test.
    monkeypatch.setenv("XAUTHORITY", "")
    made = tmp_path / "d"
    folder.make(made)
    return made


def new_desktop(place: Path, idle_minutes: float = 60) -> Desktop:
    return Desktop(place, Settings(idle_minutes=idle_minutes), secret.new(), os.environ, Log())


def starts(place: Path, name: str) -> list[int]:
    """The processes that a program has been so far."""
    file = place.parent / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def until(ask: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ask():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


def test_a_display_that_cannot_be_reached_is_started_again(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        desktop = new_desktop(place)
        await desktop.start()
        await until(lambda: len(starts(place, "Xvfb")) > 1, "the X server is started again")
        assert desktop.is_running
        await desktop.stop("the test ends")
        assert not desktop.is_running
        assert family.descendants() == []

    asyncio.run(run())
    assert "the display has failed: Display" in capfd.readouterr().err


def test_a_secret_that_cannot_be_written_is_written_later(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = secret.write, [True]

    def write_if_there_is_room(path: Path, content: bytes) -> None:
        if path == folder.authority(place) and full:
            full.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    async def run() -> None:
        desktop = new_desktop(place)
        monkeypatch.setattr(secret, "write", write_if_there_is_room)
        await desktop.start()
        await until(lambda: bool(starts(place, "Xvfb")), "the X server is started")
        await desktop.stop("the test ends")

    asyncio.run(run())


def test_a_program_that_could_not_be_started_is_started_later(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tries: list[str] = []

    async def start(_: Starter, name: str, *__: object) -> None:
        tries.append(name)
        raise NO_MORE_PROCESSES

    async def run() -> None:
        keeping = asyncio.create_task(Starter(Log()).keep("x11vnc", ["x11vnc"], {}))
        await until(lambda: len(tries) > 1, "it is tried again")
        keeping.cancel()
        await asyncio.wait([keeping])
        assert keeping.cancelled()

    monkeypatch.setattr(Starter, "start", start)
    asyncio.run(run())
    assert "x11vnc has failed: BlockingIOError" in capfd.readouterr().err


def test_a_desktop_that_cannot_be_looked_after_once_is_stopped_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def reap(*_: object) -> set[psutil.Process]:
        looks.append(None)
        if len(looks) == 1:
            raise NO_MORE_PROCESSES
        return set()

    async def run() -> None:
        desktop = new_desktop(place, idle_minutes=0.01)
        await desktop.start()
        watching = asyncio.create_task(desktop.watch())
        await until(lambda: not desktop.is_running, "the desktop is stopped when nobody uses it")
        watching.cancel()
        await asyncio.wait([watching])

    monkeypatch.setattr(family, "reap", reap)
    asyncio.run(run())


def test_a_stop_while_it_starts_leaves_nothing_that_starts_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus of these programs never listens, so that the start waits for it."""

    class Absent:
        def __init__(self, *_: object) -> None:
            pass

        async def resize(self, _: object) -> None:
            pass

        def close(self) -> None:
            pass

    async def run() -> None:
        desktop = new_desktop(place)
        await desktop.start()
        await until(lambda: bool(starts(place, "x11vnc")), "the VNC server runs")
        await desktop.stop("the test ends")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert family.descendants() == []

    monkeypatch.setattr(desktop_module, "Clipboard", Absent)
    monkeypatch.setattr(desktop_module, "Screen", Absent)
    asyncio.run(run())


@pytest.mark.parametrize("fails", ["start", "stop", "watch"])
def test_the_folder_with_the_password_goes_whatever_fails(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "d"
    seen: list[bool] = []

    async def fail(*_: object) -> None:
        seen.append(folder.password(place).exists())
        os.kill(os.getpid(), signal.SIGTERM)
        raise NO_MORE_PROCESSES

    async def idle(*_: object) -> None:
        if fails == "stop":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(family, "tie_to", lambda _: True)
    monkeypatch.setattr(family, "left_behind", lambda _: [])
    monkeypatch.setattr(programs, "missing", list)
    for name in ("start", "stop", "watch"):
        monkeypatch.setattr(Desktop, name, fail if name == fails else idle)
    status = asyncio.run(supervisor.main(place, os.getppid()))
    assert seen == [True]
    assert not place.exists()
    assert status == (0 if fails == "watch" else 1)


def test_a_disk_that_is_full_at_the_start_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(family, "tie_to", lambda _: True)
    monkeypatch.setattr(secret, "write", full)
    assert asyncio.run(supervisor.main(tmp_path / "d", os.getppid())) == 1
    assert not (tmp_path / "d").exists()
    said = capfd.readouterr().err
    assert "the desktop cannot be served: [Errno 28] No space left on device" in said
    assert "Traceback" not in said


@pytest.fixture
def ended() -> Iterator[subprocess.Popen[bytes]]:
    """A child that has ended with 3, of which nobody has taken note yet."""
    with subprocess.Popen(["sh", "-c", "exit 3"]) as child:
        process = psutil.Process(child.pid)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
        yield child


def test_an_exit_status_is_left_to_who_waits_for_it(ended: subprocess.Popen[bytes]) -> None:
    family.reap(set())
    assert ended.wait() == 3


def test_an_orphan_is_reaped_at_the_second_look(ended: subprocess.Popen[bytes]) -> None:
    assert family.reap(family.reap(set())) == set()
    assert not psutil.pid_exists(ended.pid)


XRANDR = """\
#!/bin/bash
# Refuses what was taught before, as the real one does, and fails as often as the file says.
cd "$(dirname "$0")"
case $1 in
--newmode) [ ! -e mode ] && touch mode ;;
--addmode) [ ! -e fails ] || { rm fails; exit 1; }; touch added ;;
--output) [ -e added ] || { echo "cannot find mode" >&2; exit 1; } ;;
esac
"""


def test_a_size_that_was_taught_by_half_can_be_had_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xrandr").write_text(XRANDR)
    (tmp_path / "xrandr").chmod(0o755)
    (tmp_path / "fails").touch()
    monkeypatch.setattr(programs, "SYSTEM_PATH", f"{tmp_path}:/usr/bin:/bin")

    async def run() -> Size:
        screen = Screen(":99", os.environ, Size(800, 600))
        with pytest.raises(ScreenError, match=r"--addmode screen 640x480: 1; .*: cannot find mode"):
            await screen.resize(Size(640, 480))
        await screen.resize(Size(640, 480))
        return screen.size

    assert asyncio.run(run()) == Size(640, 480)


def test_a_process_that_is_not_ours_to_end_saves_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise psutil.AccessDenied

    with subprocess.Popen(["sleep", "600"]) as foreign, subprocess.Popen(["sleep", "600"]) as own:
        refusing = psutil.Process(foreign.pid)
        monkeypatch.setattr(family, "PATIENCE_SECONDS", 0.1)
        monkeypatch.setattr(refusing, "terminate", refuse)
        monkeypatch.setattr(refusing, "kill", refuse)
        try:
            family.end([refusing, psutil.Process(own.pid)])
            own.wait(PATIENCE_SECONDS)
            assert refusing.is_running()
        finally:
            own.kill()
            foreign.kill()
