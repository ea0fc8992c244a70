"""The desktop: its programs together, from the first use until nobody uses them any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import psutil

from . import activity, family, folder, programs, secret
from .clipboard import Clipboard
from .keeper import Starter
from .log import Log
from .screen import Screen, ScreenError
from .settings import Settings, Size

FIRST_SIZE = Size(1280, 800)
"""Until a browser tells its own."""
LOOK_SECONDS = 5.0
"""How often input is looked for, at most; a shorter idle time is looked for more often."""
READY_SECONDS = 60.0
POLL_SECONDS = 0.02


class NotReadyError(RuntimeError):
    """The desktop did not come up in time."""


class Desktop:
    """Starts, keeps and stops the programs.

    Args:
        place: its folder.
        settings: how it behaves.
        keys: its secrets.
        environment: JupyterLab's.
        log: where everything is told.

    Attributes:
        on_copy: who is told each text that is copied in the desktop.
    """

    def __init__(
        self, place: Path, settings: Settings, keys: secret.Secrets, environment: Mapping[str, str], log: Log
    ) -> None:
        self._place = place
        self._settings = settings
        self._base = environment
        self._log = log
        self._starter = Starter(log)
        self._screen: Screen | None = None
        self._clipboard: Clipboard | None = None
        self.on_copy: set[Callable[[str], None]] = set()
        self._wanted = FIRST_SIZE
        self._life: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._used = time.time()
        self._ended: set[psutil.Process] = set()
        secret.write(folder.password(place), f"{keys.password}\n".encode())
        self._write_files()

    @property
    def is_running(self) -> bool:
        """Is it meant to run?"""
        return self._life is not None and not self._life.done()

    async def start(self) -> None:
        """Starts it, if it does not run. It is being used from now on."""
        self._used = time.time()
        async with self._changing:
            if not self.is_running:
                self._log.say("supervisor", "the desktop starts")
                self._life = asyncio.create_task(self._live())

    async def stop(self, why: str) -> None:
        """Stops all programs, also those that the user has started in it."""
        async with self._changing:
            if self._life is not None:
                self._log.say("supervisor", f"the desktop stops: {why}")
                await _cancel([self._life])
                if not self._life.cancelled() and (problem := self._life.exception()):
                    self._log.say("supervisor", f"the desktop did not stop as it should: {problem!r}")
                self._life = None

    async def ready(self) -> None:
        """Waits until x11vnc and websockify listen.

        Raises:
            NotReadyError: if it does not come up.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self._listens():
            if not self.is_running or time.monotonic() > deadline:
                raise NotReadyError("the desktop did not start; JupyterLab's log says why")
            await asyncio.sleep(POLL_SECONDS)

    async def resize(self, wanted: Size) -> Size:
        """Gives the screen a size, now or as soon as there is one; tells what it became."""
        self._wanted = wanted.within(self._settings.largest)
        if self._screen is not None:
            try:
                await self._screen.resize(self._wanted)
            except ScreenError as problem:
                self._log.say("supervisor", str(problem))
        return self._wanted

    async def paste(self, text: str) -> None:
        """Puts a text into the desktop's clipboard, if there is a desktop."""
        if self._clipboard is not None:
            try:
                await self._clipboard.put(text)
            except OSError as problem:
                self._log.say("supervisor", f"a text could not be pasted: {problem}")

    async def watch(self) -> None:
        """Writes down input, and stops the desktop when there has been none for long."""
        idle = self._settings.idle_minutes * 60
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, idle / 10))
            try:
                await self._look_after(idle)
            # No reason never to look again: nobody else would stop the desktop.
            except Exception as problem:
                self._log.say("supervisor", f"the desktop could not be looked after: {problem!r}")

    async def _look_after(self, idle: float) -> None:
        self._ended = family.reap(self._ended)
        if self._screen is not None:
            await self._look(self._screen)
        if self.is_running and time.time() - self._used > idle:
            await self.stop(f"no input for {self._settings.idle_minutes:g} minutes")

    def _copied(self, text: str) -> None:
        for told in list(self.on_copy):
            told(text)

    def _listens(self) -> bool:
        sockets = {"x11vnc": folder.vnc(self._place), "websockify": folder.websocket(self._place)}
        return all(name in self._starter.running and path.exists() for name, path in sockets.items())

    async def _look(self, screen: Screen) -> None:
        try:
            at = await screen.last_input()
        except ScreenError as problem:
            self._log.say("supervisor", str(problem))
            return
        # The X server counts its start as input, and its clock is not quite ours.
        if at > screen.touched + 1 and at > self._used + 0.1:
            self._used = at
            activity.write_down(folder.last_input(self._place), at)

    async def _live(self) -> None:
        environment = programs.environment(self._place, "", self._base)
        web = asyncio.create_task(
            self._keep(
                "websockify", programs.websockify(self._place), environment, folder.websocket(self._place)
            )
        )
        try:
            await self._starter.again_and_again("the display", self._with_display)
        finally:
            await _cancel([web])
            await asyncio.to_thread(family.end, family.descendants())

    async def _with_display(self) -> None:
        """One life of the X server and of all that cannot live without it."""
        cookie = secrets.token_bytes(16)
        secret.write(folder.authority(self._place), secret.x_authority(cookie))
        async with _pipe() as (number_from, write):
            try:
                xvfb = await self._starter.start(
                    "Xvfb",
                    programs.xvfb(self._place, self._settings.largest, write),
                    programs.environment(self._place, "", self._base),
                    pass_fds=[write],
                )
            finally:
                os.close(write)
            tasks = [asyncio.create_task(self._starter.wait("Xvfb", xvfb))]
            try:
                number = (await number_from.read()).decode().strip()
                if number:
                    secret.write(folder.authority(self._place), secret.x_authority(cookie, number))
                    await self._around(f":{number}", tasks)
                await asyncio.shield(tasks[0])
            finally:
                self._screen = None
                if self._clipboard is not None:
                    self._clipboard.close()
                    self._clipboard = None
                await _cancel(tasks)

    async def _around(self, display: str, tasks: list[asyncio.Task[None]]) -> None:
        """Starts the programs of a display; the tasks that keep them are added one by one."""
        environment = programs.environment(self._place, display, self._base)
        # python-xlib finds the cookie by this process's own environment.
        os.environ["XAUTHORITY"] = environment["XAUTHORITY"]
        screen = Screen(display, environment, self._settings.largest)
        try:
            await screen.resize(self._wanted)
        except ScreenError as problem:
            self._log.say("supervisor", str(problem))
        self._screen = screen
        self._clipboard = Clipboard(display, environment, self._copied)
        for name, command, path in (
            ("dbus-daemon", programs.dbus(self._place), folder.bus(self._place)),
            ("x11vnc", programs.x11vnc(self._place, display), folder.vnc(self._place)),
        ):
            tasks.append(asyncio.create_task(self._keep(name, command, environment, path)))
        while not folder.bus(self._place).exists():
            await asyncio.sleep(POLL_SECONDS)
        for name in programs.XFCE:
            keeping = self._starter.keep(name, [programs.path_of(name)], {**environment, **programs.LEAN})
            tasks.append(asyncio.create_task(keeping))

    async def _keep(self, name: str, command: list[str], environment: dict[str, str], path: Path) -> None:
        """Keeps a program that listens at a socket: where there is the socket, there is the program."""
        await self._starter.keep(name, command, environment, before=lambda: path.unlink(missing_ok=True))

    def _write_files(self) -> None:
        wallpaper = programs.WALLPAPER_CHANNEL
        (folder.channels(self._place) / wallpaper.name).write_text(
            programs.wallpaper_channel(wallpaper.read_text())
        )
        with contextlib.suppress(FileNotFoundError):
            system = programs.XFCONF_SERVICE.read_text()
            text = programs.xfconf_service(programs.home_config(self._base), system)
            (folder.services(self._place) / programs.XFCONF_SERVICE.name).write_text(text)


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """A pipe: what reads it, and the descriptor to write to, which the block closes."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", buffering=0)
    )
    try:
        yield reader, write
    finally:
        transport.close()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
