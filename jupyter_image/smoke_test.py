"""What a user of the image relies on, looked at from inside a running container: standard library only.

    docker run --rm --volume "$PWD/jupyter_image/smoke_test.py:/smoke_test.py:ro" IMAGE python /smoke_test.py

Prints a line for each check and ends with 1 if one failed. Started by the image's own entry point, so that the
start hooks have run.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ENVIRONMENT = "/opt/gateway"
PROGRAMS = (
    *("git", "curl", "vim", "gcc", "make", "ncdump", "ncview", "HawkEye", "RadxConvert"),
    *("Xvfb", "x11vnc", "websockify", "xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop", "dbus-launch"),
    *("xfce4-terminal", "thunar", "mousepad", "xrandr", "xclip", "zenity"),
)
FILES = ("/opt/IDV/runIDV", "/usr/share/novnc/vnc.html")
MODULES = (
    *("numpy", "scipy", "pandas", "xarray", "dask.distributed", "netCDF4", "h5netcdf", "zarr"),
    *("matplotlib.pyplot", "seaborn", "cartopy.crs", "metpy.calc", "siphon.catalog"),
    *("pyart", "wradlib", "xradar", "cmweather", "ipympl", "ipywidgets"),
)
SERVER_EXTENSIONS = ("jupyter_server_proxy", "nbgitpuller", "jupyter_resource_usage", "jupyterlab")


def user() -> str:
    """The server runs as the image's user, never as root."""
    assert os.getuid() == 1000, f"user {os.getuid()}, not 1000"
    return f"user {os.getuid()}, group {os.getgid()}"


def interpreter() -> str:
    """The start hooks have put the gateway's environment before conda's."""
    assert sys.prefix == ENVIRONMENT, f"python is {sys.executable}"
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
    assert spec in listed, listed
    return spec


def kernel() -> str:
    """It starts, and runs the environment's Python."""
    ran = _output("jupyter", "run", input="import sys; print(sys.prefix)").strip()
    assert ran == ENVIRONMENT, ran
    return ran


def hub() -> str:
    """The hub starts this program."""
    return _output("jupyterhub-singleuser", "--version").strip()


def extensions() -> str:
    """JupyterLab, the desktop's way in, the tutorials, the memory display."""
    answer = subprocess.run(
        ["jupyter", "server", "extension", "list"], capture_output=True, text=True, check=True
    )
    listed = answer.stdout + answer.stderr
    missing = [name for name in SERVER_EXTENSIONS if f"{name} enabled" not in " ".join(listed.split())]
    assert not missing, f"not enabled: {missing}\n{listed}"
    return ", ".join(SERVER_EXTENSIONS)


def desktop() -> str:
    """The virtual desktop is registered with jupyter-server-proxy."""
    entries = importlib.metadata.entry_points(group="jupyter_serverproxy_servers")
    assert entries, "no entry point in jupyter_serverproxy_servers"
    return ", ".join(str(entry.load()().get("launcher_entry", {}).get("title", entry.name)) for entry in entries)


def checks() -> Iterator[tuple[str, Callable[[], str]]]:
    """All checks with their names."""
    for check in (user, interpreter, login_shell, desktop_shell, kernels, kernel, hub, extensions, desktop):
        yield check.__name__, check
    for program in PROGRAMS:
        yield program, lambda program=program: _found(shutil.which(program), "is not on PATH")
    for file in FILES:
        yield file, lambda file=file: _found(file if Path(file).is_file() else None, "is absent")
    for module in MODULES:
        yield module, lambda module=module: str(getattr(importlib.import_module(module), "__version__", "imported"))


def _shell(*options: str) -> str:
    # A home's own .bashrc is read, as it is by a terminal.
    found = _output("bash", *options, "-ic", "command -v python HawkEye").split()
    assert found == [f"{ENVIRONMENT}/bin/python", "/usr/local/lrose/bin/HawkEye"], found
    return " ".join(found)


def _output(*command: str, input: str = "") -> str:
    # In a session without a terminal: an interactive shell would take it from whoever runs this.
    answer = subprocess.run(
        command, input=input, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert answer.returncode == 0, f"{' '.join(command)} ended with {answer.returncode}: {answer.stderr}"
    return answer.stdout


def _found(path: str | None, otherwise: str) -> str:
    assert path, otherwise
    return path


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
