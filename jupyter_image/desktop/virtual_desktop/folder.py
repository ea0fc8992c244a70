"""The folder of one user's desktop: its sockets and secrets, which nobody else may read."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path (unix(7))."""
LONGEST_NAME = 32
"""Bytes that are added to the folder's path by the longest of the names below."""


class FolderError(RuntimeError):
    """The folder is not ours to use."""


def choose(environment: Mapping[str, str]) -> Path:
    """A path of its own for each JupyterLab; nothing is made yet.

    The name is random, so nobody can be there before us in a folder that everybody may write to.
    """
    name = f"virtual-desktop-{secrets.token_hex(8)}"
    candidates = [Path(environment.get("XDG_RUNTIME_DIR") or "/nonexistent"), Path(tempfile.gettempdir())]
    for parent in candidates:
        if (
            os.access(parent, os.W_OK | os.X_OK)
            and len(os.fsencode(parent / name)) + LONGEST_NAME < LONGEST_SOCKET
        ):
            return parent / name
    return Path("/tmp") / name  # noqa: S108 - short, and the name is random


def make(place: Path) -> None:
    """Makes the folder, or takes over the one that this supervisor's forerunner left.

    Raises:
        FolderError: if there is something else of that name.
    """
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise FolderError(
            f"{place} is not a folder of this user's alone; remove it and start JupyterLab again"
        )
    runtime(place).mkdir(mode=0o700, exist_ok=True)
    for path in (services(place), channels(place)):
        path.mkdir(parents=True, exist_ok=True)


def remove(place: Path) -> None:
    """Removes it with all that is in it."""
    shutil.rmtree(place, ignore_errors=True)


def door(place: Path) -> Path:
    """The socket at which jupyter-server-proxy knocks."""
    return place / "door"


def websocket(place: Path) -> Path:
    """The socket at which websockify listens."""
    return place / "websocket"


def vnc(place: Path) -> Path:
    """The socket at which x11vnc listens."""
    return place / "vnc"


def password(place: Path) -> Path:
    """The VNC password."""
    return place / "password"


def authority(place: Path) -> Path:
    """The cookie of the X server."""
    return place / "Xauthority"


def last_input(place: Path) -> Path:
    """Its time of change is that of the last key or movement of the mouse."""
    return place / "last-input"


def runtime(place: Path) -> Path:
    """``XDG_RUNTIME_DIR`` of the desktop's programs."""
    return place / "runtime"


def config(place: Path) -> Path:
    """Settings of XFCE that are known only here, first of ``XDG_CONFIG_DIRS``."""
    return place / "config"


def channels(place: Path) -> Path:
    """Where XFCE looks for defaults among them."""
    return config(place) / "xfce4" / "xfconf" / "xfce-perchannel-xml"


def bus(place: Path) -> Path:
    """The socket of the session's D-Bus."""
    return runtime(place) / "bus"


def services(place: Path) -> Path:
    """Where D-Bus looks first for what it may start (``dbus-daemon``'s transient services)."""
    return runtime(place) / "dbus-1" / "services"
