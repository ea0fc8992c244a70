"""The desktop's clipboard, joined with the browser's.

VNC's own clipboard has Latin-1 at best, and x11vnc 0.9.16 loses even that on its way to the browser. So the
text goes beside it: XFIXES tells when somebody copies, and ``xclip`` reads and offers text as UTF-8.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from Xlib import display as x_display
from Xlib.error import ConnectionClosedError, DisplayError
from Xlib.ext import xfixes

from . import programs

LARGEST_BYTES = 1_000_000
"""Of a text. What is larger stays where it is."""
ANSWER_SECONDS = 5.0
"""A program that has copied something may hang."""


class Clipboard:
    """The clipboard of one display.

    Args:
        name: the display, such as ``:3``.
        environment: with the display and its cookie.
        tell: is told each text that is copied in the desktop.
    """

    def __init__(self, name: str, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._environment = dict(environment)
        self._tell = tell
        self._text = ""
        self._reading: asyncio.Task[None] | None = None
        self._connection = x_display.Display(name)
        root = self._connection.screen().root
        self._connection.xfixes_query_version()
        selection = self._connection.intern_atom("CLIPBOARD")
        self._connection.xfixes_select_selection_input(
            root, selection, xfixes.XFixesSetSelectionOwnerNotifyMask
        )
        self._connection.flush()
        self._socket = self._connection.fileno()
        asyncio.get_running_loop().add_reader(self._socket, self._changed)

    def close(self) -> None:
        """Looks no longer."""
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._reading is not None:
            self._reading.cancel()
        with contextlib.suppress(OSError, DisplayError, ConnectionClosedError):
            self._connection.close()

    async def put(self, text: str) -> None:
        """Offers a text to the desktop's programs.

        Raises:
            OSError: if ``xclip`` cannot be started.
        """
        self._text = text
        process = await self._xclip("-i", stdin=asyncio.subprocess.PIPE)
        # What goes on offering it is its child.
        await process.communicate(text.encode())

    def _changed(self) -> None:
        try:
            while self._connection.pending_events():
                self._connection.next_event()
        except (OSError, DisplayError, ConnectionClosedError):
            # The X server has ended, and with it this clipboard.
            asyncio.get_running_loop().remove_reader(self._socket)
            return
        if self._reading is not None:
            self._reading.cancel()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            process = await self._xclip("-o", "-t", "UTF8_STRING", stdout=asyncio.subprocess.PIPE)
        except OSError:
            # No room for one more process: the next text that is copied may find some.
            return
        try:
            content, _ = await asyncio.wait_for(process.communicate(), ANSWER_SECONDS)
        except TimeoutError:
            return
        finally:
            if process.returncode is None:
                process.kill()
        text = content.decode(errors="replace")
        if process.returncode == 0 and text != self._text and len(content) <= LARGEST_BYTES:
            self._text = text
            self._tell(text)

    async def _xclip(
        self, *options: str, stdin: int = asyncio.subprocess.DEVNULL, stdout: int = asyncio.subprocess.DEVNULL
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(programs.path_of("xclip"), "-selection", "clipboard", *options),
            env=self._environment,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.DEVNULL,
        )
