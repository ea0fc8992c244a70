"""The real JupyterLab with the virtual desktop's package installed, on loopback, in a home of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import psutil
import requests

from lab.ports import HOST
from tests.free_ports import free_port
from tests.image.waiting import until

PACKAGE = Path(__file__).resolve().parents[2] / "jupyter_image" / "desktop"
MARK = "VIRTUAL_DESKTOP_FOLDER"
SUPERVISOR = "virtual_desktop"

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningLab:
    """A JupyterLab.

    Attributes:
        url: where it answers.
        home: its user's home.
        process: JupyterLab itself.
        log_file: what it and its desktop say.
        token: lets a browser in.
    """

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log_file: Path
    token: str = dataclasses.field(repr=False)

    @property
    def log(self) -> str:
        """What it and its desktop have said."""
        return self.log_file.read_text(errors="replace")

    def get(self, path: str, **headers: str) -> requests.Response:
        """One request of somebody who is logged in."""
        allowed = {"Authorization": f"token {self.token}", **headers}
        return requests.get(f"{self.url}{path}", headers=allowed, timeout=90)

    def last_activity(self) -> str:
        """When JupyterLab was last used, as it tells the hub."""
        return str(self.get("/api/status").json()["last_activity"])

    def family(self) -> list[psutil.Process]:
        """The supervisor and all of its descendants."""
        return family_of(self.process.pid)

    def program(self, name: str) -> psutil.Process | None:
        """One of them by its name; None if it does not run."""
        return program_of(self.process.pid, name)

    def folder(self) -> Path:
        """The folder of the desktop's sockets."""
        found = program_of(self.process.pid, SUPERVISOR)
        assert found is not None, f"no supervisor runs:\n{self.log[-3000:]}"
        return Path(found.cmdline()[-2])

    def display(self) -> str:
        """The X server's display."""
        found = until(lambda: self.program("x11vnc"), "x11vnc runs")
        command = found.cmdline()
        return command[command.index("-display") + 1]


def family_of(process: int) -> list[psutil.Process]:
    """The supervisor that a server has started, and all of its descendants."""
    try:
        below = psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [each for each in below if _is_ours(each)]


def program_of(process: int, name: str) -> psutil.Process | None:
    """A program of the desktop by its name, such as ``x11vnc``; the supervisor by ``virtual_desktop``."""
    for each in family_of(process):
        with contextlib.suppress(psutil.Error):
            if each.status() != psutil.STATUS_ZOMBIE and name == _name(each):
                return each
    return None


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    # What runs as ``python -m`` is known by its module.
    return command[command.index("-m") + 1] if "-m" in command[:-1] else process.name()


def each_says(processes: Iterable[psutil.Process], ask: Callable[[psutil.Process], Answer]) -> list[Answer]:
    """What each answers. One that has ended meanwhile says nothing: a desktop's helpers come and go."""
    answers = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            answers.append(ask(process))
    return answers


def marked(folder: Path) -> list[psutil.Process]:
    """All programs of a desktop anywhere on the machine, also those that nobody is a parent of."""
    return [each for each in psutil.process_iter() if _mark(each) == str(folder)]


def _is_ours(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return (
            process.status() == psutil.STATUS_ZOMBIE
            or SUPERVISOR in process.cmdline()
            or bool(_mark(process))
        )
    return False


def _mark(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK)
    return None


def install(folder: Path) -> Path:
    """Installs the package into a folder, by pip, as the image does; gives what to put on Python's path."""
    source = folder / "source"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", target, source], check=True)
    return target


def environment(site: Path, home: Path) -> dict[str, str]:
    """The environment of a server that has the package, without what this process has of desktops."""
    kept = {"LANG", "PATH", "TMPDIR"}
    return {
        **{name: text for name, text in os.environ.items() if name in kept},
        "HOME": str(home),
        "PATH": f"{site / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
    }


@contextlib.contextmanager
def running_lab(
    site: Path, *, settings: Mapping[str, str] | None = None, user: str | None = None
) -> Iterator[RunningLab]:
    """A JupyterLab for the length of the block; then it and all of its programs are ended.

    Args:
        site: where the package is installed.
        settings: more variables.
        user: a Unix user whose process it shall be; None for ours.
    """
    with tempfile.TemporaryDirectory(prefix="lab-") as name:
        home = Path(name)
        port = free_port()
        token = secrets.token_hex(16)
        variables = {**environment(site, home), "JUPYTER_TOKEN": token, **(settings or {})}
        interpreter, more = sys.executable, {}
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(home, entry.pw_uid, entry.pw_gid)
            interpreter = everybodys_python(variables)
            variables["PATH"] = f"{commands_for(interpreter, site, home / 'bin')}:{variables['PATH']}"
            more = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        options = [
            "--no-browser",
            "--allow-root",
            f"--ip={HOST}",
            f"--port={port}",
            "--ServerApp.port_retries=0",
        ]
        log_file = home / "jupyter.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [interpreter, "-m", "jupyterlab", *options],
                cwd=home,
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                **more,
            )
        lab = RunningLab(
            url=f"http://{HOST}:{port}", home=home, process=process, log_file=log_file, token=token
        )
        try:
            until(lambda: _answers(lab), f"JupyterLab answers at {lab.url}")
            yield lab
        finally:
            end(lab)


def everybodys_python(variables: dict[str, str]) -> str:
    """An interpreter that other users may run; it gets our packages by its path."""
    found = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    assert Path(found).exists(), f"install Debian's python3: {found} is missing"
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    variables["PYTHONPATH"] += f":{packages}"
    # JupyterLab's own files are beside our interpreter, not beside that one.
    variables["JUPYTER_PATH"] = f"{sys.prefix}/share/jupyter"
    variables["JUPYTER_CONFIG_PATH"] = f"{sys.prefix}/etc/jupyter"
    variables["JUPYTERLAB_DIR"] = f"{sys.prefix}/share/jupyter/lab"
    return found


def commands_for(interpreter: str, site: Path, folder: Path) -> Path:
    """The package's commands, run by another interpreter than the one that installed it."""
    folder.mkdir()
    for command in (site / "bin").glob("virtual-desktop-*"):
        _, _, code = command.read_text().partition("\n")
        (folder / command.name).write_text(f"#!{interpreter}\n{code}")
        (folder / command.name).chmod(0o755)
    return folder


def end(lab: RunningLab) -> None:
    """Ends it with all that it has started, whatever state it is in."""
    family = lab.family()
    lab.process.terminate()
    try:
        lab.process.wait(30)
    except subprocess.TimeoutExpired:
        lab.process.kill()
        lab.process.wait(30)
    _, left = psutil.wait_procs(family, timeout=30)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _answers(lab: RunningLab) -> bool:
    assert lab.process.poll() is None, f"JupyterLab has ended:\n{lab.log[-4000:]}"
    with contextlib.suppress(requests.ConnectionError):
        return lab.get("/api/status").ok
    return False
