"""The rule of activity: real input counts, an open page does not.

jupyter-server-proxy asks at each message of a websocket whether it is activity
(``update_last_activity``, since its version 4.6). Messages flow while a desktop is merely shown, so the
answer comes from the X server instead: the supervisor writes down when the last key was pressed or the
mouse was moved, as the time of a file.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_down(file: Path, at: float) -> None:
    """Notes when the last input was, in seconds since the epoch."""
    file.touch(mode=0o600)
    os.utime(file, (at, at))


class Inputs:
    """What has been written down, for one asker."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = 0.0

    def are_new(self, _request: object = None) -> bool:
        """Has there been input since this was last asked?"""
        try:
            at = self._file.stat().st_mtime
        except OSError:
            return False
        if at <= self._seen:
            return False
        self._seen = at
        return True
