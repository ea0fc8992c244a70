"""What a user of the image relies on, looked at from inside a running container: standard library only.

    docker run --rm --volume "$PWD/jupyter_image/smoke_test.py:/smoke_test.py:ro" IMAGE python /smoke_test.py

Prints a line for each check and ends with 1 if one failed. To be started by the image's own entry point, so
that the start hooks have run.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ENVIRONMENT = "/opt/gateway"
PROGRAMS = (
    *("git", "curl", "vim", "gcc", "make", "ncdump", "ncview", "HawkEye", "RadxConvert", "idv"),
    *("Xvfb", "x11vnc", "websockify", "dbus-daemon", "xfwm4", "xfce4-panel", "xfdesktop", "xfsettingsd"),
    *("xfce4-terminal", "thunar", "mousepad", "xrandr", "xclip", "zenity"),
)
FILES = ("/opt/IDV/runIDV", "/usr/share/novnc/core/rfb.js")
MODULES = (
    *("numpy", "scipy", "pandas", "xarray", "dask.distributed", "netCDF4", "h5netcdf", "zarr"),
    *("matplotlib.pyplot", "seaborn", "cartopy.crs", "metpy.calc", "siphon.catalog"),
    *("pyart", "wradlib", "xradar", "cmweather", "ipympl", "ipywidgets"),
)
DESKTOP_SECONDS = 180.0
"""How long the desktop may take to start, or to end, on a busy machine."""
SERVER_EXTENSIONS = ("jupyter_server_proxy", "nbgitpuller", "jupyter_resource_usage", "jupyterlab")


class CheckError(Exception):
    """Something that a user relies on is not so."""


def user() -> str:
    """The server runs as the image's user, never as root."""
    _require(os.getuid() == 1000, f"user {os.getuid()}, not 1000")
    return f"user {os.getuid()}, group {os.getgid()}"


def interpreter() -> str:
    """The start hooks have put the gateway's environment before conda's."""
    _require(sys.prefix == ENVIRONMENT, f"python is {sys.executable}")
    return sys.version.split()[0]


def login_shell() -> str:
    """A terminal finds the environment and LROSE, whatever the home holds."""
    return _shell("-l")


def desktop_shell() -> str:
    """So does a terminal of the desktop, which is no login shell."""
    return _shell()


def kernels() -> str:
    """The default kernel is the environment's."""
    spec = f"{ENVIRONMENT}/share/jupyter/kernels/python3"
    listed = _output("jupyter", "kernelspec", "list")
    _require(spec in listed, listed)
    return spec


def kernel() -> str:
    """It starts, and runs the environment's Python."""
    ran = _output("jupyter", "run", entered="import sys; print(sys.prefix)").strip()
    _require(ran == ENVIRONMENT, ran)
    return ran


def hub() -> str:
    """The hub starts this program."""
    return _output("jupyterhub-singleuser", "--version").strip()


def extensions() -> str:
    """JupyterLab, the desktop's way in, the tutorials, the memory display."""
    answer = subprocess.run(
        ["jupyter", "server", "extension", "list"], capture_output=True, text=True, check=True
    )
    listed = re.sub(r"\x1b\[\d*m", "", answer.stdout + answer.stderr)
    missing = [name for name in SERVER_EXTENSIONS if f"{name} enabled" not in listed]
    _require(not missing, f"not enabled: {missing}\n{listed}")
    return ", ".join(SERVER_EXTENSIONS)


def libraries() -> str:
    """LROSE's programs find the libraries that came with them, and those of the system."""
    programs = [f"/usr/local/lrose/bin/{name}" for name in ("HawkEye", "RadxConvert")]
    # A script has none, which `ldd` reports as an error.
    answer = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    missing = [line.strip() for line in answer.stdout.splitlines() if "not found" in line]
    _require(not missing, "; ".join(missing))
    return "none missing"


def desktop() -> str:
    """The virtual desktop is registered with jupyter-server-proxy."""
    entries = importlib.metadata.entry_points(group="jupyter_serverproxy_servers")
    _require(entries, "no entry point in jupyter_serverproxy_servers")
    return ", ".join(
        str(entry.load()().get("launcher_entry", {}).get("title", entry.name)) for entry in entries
    )


def desktop_starts() -> str:
    """Its programs come up, asked for as its page asks, and what jupyter-server-proxy starts ends cleanly."""
    (entry,) = importlib.metadata.entry_points(group="jupyter_serverproxy_servers", name="virtual-desktop")
    server = entry.load()()
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        # The words are format strings, as jupyter-server-proxy reads them.
        command = [word.format() for word in server["command"]]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            status, answer = _session(server["unix_socket"], process)
            took = time.monotonic() - began
        finally:
            process.terminate()
            ended = process.wait(DESKTOP_SECONDS)
            log.seek(0)
            said = log.read()
    _require(status == 200 and answer.get("password"), f"{status}: {answer.get('problem')}\n{said}")
    _require(ended == 0, f"it ended with {ended}\n{said}")
    _require(not Path(server["unix_socket"]).parent.exists(), f"its folder stays behind\n{said}")
    return f"after {took:.1f} s"


def checks() -> Iterator[tuple[str, Callable[[], str]]]:
    """All checks with their names."""
    for check in (
        user,
        interpreter,
        login_shell,
        desktop_shell,
        kernels,
        kernel,
        hub,
        extensions,
        libraries,
        desktop,
        desktop_starts,
    ):
        yield check.__name__, check
    for program in PROGRAMS:
        yield program, functools.partial(_program, program)
    for file in FILES:
        yield file, functools.partial(_file, file)
    for module in MODULES:
        yield module, functools.partial(_module, module)


def _session(door: str, process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """The status and the answer to the page's first request."""
    deadline = time.monotonic() + DESKTOP_SECONDS
    connection = http.client.HTTPConnection("localhost")
    with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(DESKTOP_SECONDS)
        while connected.connect_ex(door) != 0:
            _require(process.poll() is None, f"it ended with {process.returncode}")
            _require(time.monotonic() < deadline, f"nothing listens at {door}")
            time.sleep(0.1)
        connection.sock = connected
        size = json.dumps({"width": 1280, "height": 800})
        connection.request("POST", "/session", size, {"X-Virtual-Desktop": "1"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def _shell(*options: str) -> str:
    # A home's own .bashrc is read, as it is by a terminal.
    found = _output("bash", *options, "-ic", "command -v python HawkEye").split()
    _require(found == [f"{ENVIRONMENT}/bin/python", "/usr/local/lrose/bin/HawkEye"], str(found))
    return " ".join(found)


def _output(*command: str, entered: str = "") -> str:
    # In a session without a terminal: an interactive shell would take it from whoever runs this.
    answer = subprocess.run(
        command, input=entered, capture_output=True, text=True, check=False, start_new_session=True
    )
    _require(answer.returncode == 0, f"{' '.join(command)} ended with {answer.returncode}: {answer.stderr}")
    return answer.stdout


def _program(name: str) -> str:
    found = shutil.which(name)
    _require(found is not None, "is not on PATH")
    return str(found)


def _file(name: str) -> str:
    _require(Path(name).is_file(), "is absent")
    return "is there"


def _module(name: str) -> str:
    return str(getattr(importlib.import_module(name), "__version__", "imported"))


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)


def main() -> int:
    """Runs all checks; the exit status is 1 if one failed."""
    failed = 0
    for name, check in checks():
        try:
            print(f"ok      {name}: {check()}", flush=True)
        # Whatever it is that a check or an import meets, the others are still made.
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
