"""Starting and stopping the lab's own processes, each by a pid file of its own.

A pid alone can be reused by a stranger after a crash, so a pid file also holds the process's start
time; only a process that matches both is ever signalled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from lab import paths, ports
from lab.errors import LabError

MARK = "LAB_PID_FILE"
"""The variable by which a process of the lab is known even before it has a pid file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A process that the lab keeps.

    Attributes:
        name: also the name of its pid and log file.
        command: program and arguments; never holds a secret, since the process list shows it.
        environment: added to the lab's own environment, or all there is.
        has_only_its_environment: nothing of the lab's own environment reaches it.
        ports: loopback ports it will listen on; a taken one is reported before the start.
        ready: tells whether it answers; polled until true. None: ready once started.
        directory: the working folder.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_only_its_environment: bool = False
    ports: Sequence[int] = ()
    ready: Callable[[], bool] | None = None
    directory: Path | None = None


def pid_file(name: str) -> Path:
    """The pid file of a service."""
    return paths.RUN / f"{name}.json"


def log_file(name: str) -> Path:
    """The log file of a service."""
    return paths.LOG / f"{name}.log"


def known() -> list[str]:
    """Names of all services that have a pid file, alive or not."""
    return sorted(path.stem for path in paths.RUN.glob("*.json"))


def find(name: str) -> psutil.Process | None:
    """The live process of a service, or None if it has none."""
    try:
        record = json.loads(pid_file(name).read_text())
        process = psutil.Process(record["pid"])
        if _started(process.pid) == record["started"] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        pass
    return None


def _started(pid: int) -> str:
    """When a process started: the boot, and clock ticks since then; no change of the clock touches either."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # Counted from behind the program's name, which may hold blanks and brackets (man proc_pid_stat).
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{boot} {ticks}"


def start(service: Service) -> bool:
    """Starts a service unless it already runs.

    Returns:
        True if it was started, False if it was running.

    Raises:
        LabError: if one of its ports is taken by another process.
    """
    if find(service.name):
        return False
    for port in service.ports:
        refuse_taken_port(port, service.name)
    paths.RUN.mkdir(parents=True, exist_ok=True)
    paths.LOG.mkdir(parents=True, exist_ok=True)
    with log_file(service.name).open("ab") as log:
        child = subprocess.Popen(
            list(service.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **({} if service.has_only_its_environment else os.environ),
                **service.environment,
                MARK: str(pid_file(service.name)),
            },
            cwd=service.directory,
            start_new_session=True,
        )
    _record(service.name, child.pid)
    return True


def _record(name: str, pid: int) -> None:
    record = {"pid": pid, "started": _started(pid)}
    # Written aside and renamed, so that a crash never leaves half a pid file.
    temporary = pid_file(name).with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(record))
    temporary.rename(pid_file(name))


def adopt_orphans() -> None:
    """Gives those a pid file whose starter was killed before it could write one."""
    for process in psutil.process_iter():
        # Gone meanwhile, or another user's.
        with contextlib.suppress(psutil.Error, OSError):
            marked = Path(process.environ().get(MARK, ""))
            # What a service starts inherits its mark, but leads no session.
            leads = os.getsid(process.pid) == process.pid
            if marked.parent == paths.RUN and leads and find(marked.stem) is None:
                _record(marked.stem, process.pid)


def wait_ready(service: Service, timeout: float) -> None:
    """Waits until a started service answers.

    Args:
        service: the service; one without ``ready`` is ready at once.
        timeout: seconds.

    Raises:
        LabError: if it dies or does not answer in time; the text ends with its last log lines.
    """
    deadline = time.monotonic() + timeout
    while service.ready is not None and not service.ready():
        if find(service.name) is None:
            raise LabError(f"{service.name} died while starting.\n{last_lines(service.name)}")
        if time.monotonic() > deadline:
            raise LabError(
                f"{service.name} did not answer within {timeout:.0f} s.\n{last_lines(service.name)}"
            )
        time.sleep(0.1)


def stop(name: str, grace: float = 10.0) -> None:
    """Stops a service: SIGTERM, after ``grace`` seconds SIGKILL. One that is gone is fine."""
    process = find(name)
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            if not _ends_within(process, grace):
                process.kill()
                _ends_within(process, 5.0)
    pid_file(name).unlink(missing_ok=True)


def _ends_within(process: psutil.Process, seconds: float) -> bool:
    # A zombie has ended: it only waits for its parent, which may be slow to look.
    deadline = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)  # if that parent is this process
    return True


def last_lines(name: str, count: int = 10) -> str:
    """The end of a service's log, headed by the log's path."""
    path = log_file(name)
    try:
        tail = path.read_text(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        tail = []
    return "\n".join([f"Last lines of {path}:", *tail])


def answers_http(port: int) -> Callable[[], bool]:
    """A ``ready`` check: does anything speak HTTP on this loopback port?"""

    def check() -> bool:
        try:
            with socket.create_connection((ports.HOST, port), timeout=1) as connection:
                connection.settimeout(5)
                connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return connection.recv(5).startswith(b"HTTP")
        except OSError:
            return False

    return check


def refuse_taken_port(port: int, wanted_by: str) -> None:
    """Raises LabError if a loopback port cannot be bound, naming its holder where that can be seen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ports.HOST, port))
            return
        except OSError:
            pass
    raise LabError(
        f"Port {port} on {ports.HOST}, which {wanted_by} needs, is taken by {_holder(port)}. "
        "Stop that process (another checkout's lab: run `python -m lab down` there), then try again."
    )


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            local = connection.laddr
            listening = connection.status == psutil.CONN_LISTEN and local and local.port == port
            if listening and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({process.name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"
