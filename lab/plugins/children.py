"""Programs that a plugin runs: with input, captured output, and an end when the operator interrupts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from lab.plugins.output import Finished, Output, Stream
from lab.plugins.provider import Cancellation, CancelledError

GRACE = 15.0
"""Seconds between the interrupt that a program may tidy up after (Helm does) and its forced end."""

_POLL = 0.1


class Children:
    """Starts programs, each in a process group of its own."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._running = 0
        self._lock = threading.Lock()

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: str = "",
        directory: str | None = None,
        line: Callable[[Stream, str], None] | None = None,
        files: Sequence[int] = (),
        despite_interrupt: bool = False,
    ) -> Finished:
        """Runs a program to its end.

        Args:
            command: program and arguments; the process list shows them, so they hold no secret.
            environment: all of its environment.
            stdin: its standard input.
            directory: its working folder; the plugin's own if None.
            line: called with each line of output as it comes.
            files: descriptors of open files that it may use by the same numbers.
            despite_interrupt: is it a short question that is asked even after an interrupt?

        Raises:
            CancelledError: if the operator interrupts; the program and all it started are gone then.
            OSError: if it cannot be started.
        """
        doing = f"running {command[0]}"
        if self._cancellation.cancelled and not despite_interrupt:
            raise CancelledError(doing)
        with self._counted():
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=dict(environment),
                cwd=directory,
                pass_fds=files,
                start_new_session=True,
            )
            output = Output(line)
            readers = [
                threading.Thread(target=output.read, args=("stdout", process.stdout), daemon=True),
                threading.Thread(target=output.read, args=("stderr", process.stderr), daemon=True),
                threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True),
            ]
            for reader in readers:
                reader.start()
            # Output can outlive the program itself, in what it left running in the background.
            while process.poll() is None or any(reader.is_alive() for reader in readers):
                if self._cancellation.cancelled and not despite_interrupt:
                    _end(process)
                    raise CancelledError(doing)
                time.sleep(_POLL)
            return output.finished(process.returncode)

    def wait_none(self, seconds: float) -> None:
        """Waits until no program runs, for at most so many seconds."""
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            time.sleep(_POLL)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


def _write(sink: IO[str], text: str) -> None:
    # A program need not read its input.
    with contextlib.suppress(BrokenPipeError, OSError), sink:
        sink.write(text)


def _end(process: subprocess.Popen[str]) -> None:
    # The second signal also ends what the program started and left behind.
    for number, seconds in ((signal.SIGINT, GRACE), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
