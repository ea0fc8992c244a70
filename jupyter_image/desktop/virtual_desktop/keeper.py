"""Keeps one program running: starts it again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import psutil

from . import family, programs
from .log import Log

HEALTHY_SECONDS = 10.0
"""A program that ran for so long may be started again at once."""
LONGEST_PAUSE_SECONDS = 30.0


def pause_after(failures: int) -> float:
    """Seconds to wait before the next start: none at first, then ever longer for what never stays."""
    return 0.0 if failures <= 1 else min(LONGEST_PAUSE_SECONDS, 0.25 * 2.0 ** (failures - 1))


class Starter:
    """Starts programs that end with this process and write to its log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.running: dict[str, int] = {}

    async def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        pass_fds: Sequence[int] = (),
    ) -> asyncio.subprocess.Process:
        """Starts a program once."""
        output = self.log.pipe(name)
        process = await asyncio.create_subprocess_exec(
            # The kernel's signal at the parent's death; by a program, as Python's preexec_fn may deadlock.
            *(programs.path_of("setpriv"), "--pdeathsig", "TERM", "--", *command),
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.running[name] = process.pid
        return process

    async def wait(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Waits until it ends; ends it when this is cancelled."""
        try:
            status = await process.wait()
            self.log.say("supervisor", f"{name} has ended (exit status {status})")
        finally:
            if process.returncode is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    await asyncio.to_thread(family.end, [psutil.Process(process.pid)])
                await process.wait()
            if self.running.get(name) == process.pid:
                del self.running[name]

    async def keep(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Runs a program until this is cancelled.

        Args:
            before: what to do before each start.
        """

        async def once() -> None:
            before()
            await self.wait(name, await self.start(name, command, environment))

        await self.again_and_again(name, once)

    async def again_and_again(self, name: str, once: Callable[[], Awaitable[None]]) -> None:
        """Does something anew whenever it has ended, in whatever way, until this is cancelled.

        Args:
            name: what it is, for the log.
            once: does it one time. A machine that is short of processes or disk makes it fail, and recovers.
        """
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await once()
            except Exception as problem:
                self.log.say("supervisor", f"{name} has failed: {problem!r}")
            failures = 0 if time.monotonic() - began > HEALTHY_SECONDS else failures + 1
            await asyncio.sleep(pause_after(failures))
