"""The one process behind the launcher card: it opens the door, and behind it the desktop."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from . import family, folder, programs, secret
from .desktop import Desktop
from .door import application
from .log import Log
from .settings import Settings, SettingsError, settings


async def main(place: Path, parent: int) -> int:
    """Serves until it is told to end, or its parent has ended.

    Args:
        place: the folder for sockets and secrets.
        parent: JupyterLab's process.

    Returns:
        The exit status.
    """
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    if not family.tie_to(parent):
        return 0
    log = Log()
    try:
        folder.make(place)
    except (folder.FolderError, OSError) as problem:
        log.say("supervisor", str(problem))
        return 1
    try:
        await _serve(place, stopping, log)
    except OSError as problem:
        # The next request starts another supervisor, which may have more room.
        log.say("supervisor", f"the desktop cannot be served: {problem}")
        return 1
    finally:
        folder.remove(place)
    return 0


async def _serve(place: Path, stopping: asyncio.Event, log: Log) -> None:
    """Opens the door, and closes it when it is time."""
    await asyncio.to_thread(family.end, family.left_behind(place))
    keys = secret.new()
    problem_text, chosen = "", Settings()
    try:
        chosen = settings(os.environ)
    except SettingsError as problem:
        problem_text = str(problem)
    if packages := programs.missing():
        problem_text = f"The desktop's programs are not installed. Debian's packages: {' '.join(packages)}."
    if problem_text:
        log.say("supervisor", problem_text)
    desktop = Desktop(place, chosen, keys, os.environ, log)
    server = HTTPServer(application(desktop, chosen, keys, place, problem_text))
    # The folder is ours alone; the mode says so again.
    server.add_socket(bind_unix_socket(str(folder.door(place)), mode=0o600))
    watching = asyncio.create_task(desktop.watch())
    if not problem_text:
        # Who knocks wants to see it: no need to wait for the page.
        await desktop.start()
    try:
        await stopping.wait()
    finally:
        # First: the watch may be stopping the desktop itself, and must not be interrupted halfway.
        await desktop.stop("JupyterLab ends")
        watching.cancel()
        server.stop()
