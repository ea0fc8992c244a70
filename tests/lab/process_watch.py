"""Every command line that any process of this machine had while something ran."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

EVERY_SECONDS = 0.05


class ProcessWatch:
    """Collects command lines in the background, from entry to exit, as often as it is entered.

    Attributes:
        command_lines: all that were seen, each as one text.
    """

    def __init__(self) -> None:
        self.command_lines: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProcessWatch:
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for process in psutil.process_iter(["cmdline"]):
                self.command_lines.add(" ".join(process.info["cmdline"] or ()))
