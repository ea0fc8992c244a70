"""The X server's screen: its size, and how long nobody has touched it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from Xlib import display as x_display
from Xlib.error import ConnectionClosedError, DisplayError
from Xlib.ext import screensaver

from . import programs
from .settings import Size

ANSWER_SECONDS = 10


class ScreenError(RuntimeError):
    """The X server does not answer, or not as it should."""


class Screen:
    """The screen of one X server.

    Attributes:
        size: what it has now.
        touched: when we last did what the X server takes for input, in seconds since the epoch.

    Args:
        name: the display, such as ``:3``.
        environment: with the display and its cookie.
        largest: the size that it started with; none is larger.
    """

    def __init__(self, name: str, environment: Mapping[str, str], largest: Size) -> None:
        self.name = name
        self.touched = time.time()
        self.size = largest
        self._environment = dict(environment)
        self._known = [largest]
        self._largest = largest
        self._lock = asyncio.Lock()

    async def resize(self, wanted: Size) -> None:
        """Gives the screen the nearest possible size.

        Raises:
            ScreenError: if ``xrandr`` fails.
        """
        async with self._lock:
            size = wanted.within(self._largest)
            if size == self.size:
                return
            complaints = [
                await self._complaint(command) for command in programs.size_commands(size, self._known)
            ]
            # A size that once was taught by half cannot be taught again, and can be used all the same.
            if complaints[-1]:
                raise ScreenError("; ".join(filter(None, complaints)))
            if size not in self._known:
                self._known.append(size)
            self.size = size
            # The X server moves the mouse back onto a screen that has shrunk.
            self.touched = time.time()

    async def last_input(self) -> float:
        """When a key was last pressed or the mouse moved, in seconds since the epoch.

        Before the first input it is when the X server started.

        Raises:
            ScreenError: if the X server does not answer.
        """
        try:
            idle = await asyncio.wait_for(asyncio.to_thread(_idle_seconds, self.name), ANSWER_SECONDS)
        except (TimeoutError, OSError, DisplayError, ConnectionClosedError) as problem:
            raise ScreenError(f"the X server {self.name} does not answer: {problem!r}") from problem
        return time.time() - idle

    async def _complaint(self, command: list[str]) -> str:
        """Runs a command; what it says if it fails."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self._environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as problem:
            return f"{' '.join(command)}: {problem}"
        _, said = await process.communicate()
        if process.returncode == 0:
            return ""
        return f"{' '.join(command)}: {said.decode(errors='replace').strip() or process.returncode}"


def _idle_seconds(name: str) -> float:
    """By the X server's screen saver extension, which counts since the last event of a keyboard or mouse."""
    connection = x_display.Display(name)
    try:
        return float(screensaver.query_info(connection.screen().root).idle) / 1000
    finally:
        connection.close()
