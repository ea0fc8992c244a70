"""One place for what the supervisor and its programs say: JupyterLab's own log.

Programs write to pipes of ours; each line comes out with the program's name. A program that says too much is
cut short, so that one that fails again and again does not fill a node's disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

LINES_A_MINUTE = 60
LONGEST_LINE = 500


class Log:
    """Writes lines to the standard error that JupyterLab gave to the supervisor."""

    def __init__(self) -> None:
        self._pipes: dict[str, int] = {}
        self._begun: dict[str, str] = {}
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, name: str, text: str) -> None:
        """Writes one line, or counts it if there were too many in this minute."""
        now = time.monotonic()
        since, lines = self._said.get(name, (now, 0))
        if now - since >= 60:
            if lines > LINES_A_MINUTE:
                self._write(name, f"({lines - LINES_A_MINUTE} more lines in that minute)")
            since, lines = now, 0
        self._said[name] = (since, lines + 1)
        if lines < LINES_A_MINUTE:
            self._write(name, text[:LONGEST_LINE])

    def pipe(self, name: str) -> int:
        """A file descriptor for a program's output; the same for each start of it."""
        if name not in self._pipes:
            read, write = os.pipe()
            os.set_blocking(read, False)
            self._pipes[name] = write
            asyncio.get_running_loop().add_reader(read, self._read, read, name)
        return self._pipes[name]

    def _read(self, read: int, name: str) -> None:
        text = self._begun.pop(name, "") + os.read(read, 65536).decode(errors="replace")
        *lines, begun = text.split("\n")
        # Some write a line in pieces; a line without end is cut.
        if len(begun) > LONGEST_LINE:
            lines.append(begun)
        else:
            self._begun[name] = begun
        for line in lines:
            if line.strip():
                self.say(name, line.rstrip())

    def _write(self, name: str, text: str) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            print(f"[virtual-desktop {moment} {name}] {text}", file=sys.stderr, flush=True)
        except OSError:
            # JupyterLab has gone, and so shall we.
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the rest of our life
