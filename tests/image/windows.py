"""The windows of a desktop, as the X server knows them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from Xlib import X
from Xlib import display as x_display
from Xlib.error import XError

from tests.image.running_lab import RunningLab

OF_THE_DESKTOP = ("xfce4-panel", "Desktop")


@contextlib.contextmanager
def moving_picture(environment: Mapping[str, str]) -> Iterator[None]:
    """A window in a desktop that changes all the time, for the length of the block.

    Args:
        environment: that of a program of the desktop.
    """
    command = ["zenity", "--progress", "--pulsate", "--text=busy"]
    with subprocess.Popen(command, env=dict(environment), stdin=subprocess.PIPE) as program:
        try:
            yield
        finally:
            program.terminate()


def titles(lab: RunningLab) -> list[str]:
    """The titles of the windows of programs that somebody has started."""
    return titles_of(lab.display(), lab.folder() / "Xauthority")


def titles_of(display: str, authority: Path) -> list[str]:
    """The same, of a display."""
    os.environ["XAUTHORITY"] = str(authority)
    connection = x_display.Display(display)
    try:
        name, utf8 = connection.intern_atom("_NET_WM_NAME"), connection.intern_atom("UTF8_STRING")
        listed = connection.screen().root.get_full_property(
            connection.intern_atom("_NET_CLIENT_LIST"), X.AnyPropertyType
        )
        found = []
        for window in listed.value if listed else []:
            try:
                title = connection.create_resource_object("window", window).get_full_property(name, utf8)
            except XError:
                continue
            if title and bytes(title.value).decode() not in OF_THE_DESKTOP:
                found.append(bytes(title.value).decode())
        return found
    finally:
        connection.close()
