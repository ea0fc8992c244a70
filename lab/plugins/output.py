"""What a program prints, gathered line by line from both of its streams."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import Literal

Stream = Literal["stdout", "stderr"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that has ended.

    Attributes:
        code: its exit code, or minus the signal that ended it.
        both: its standard output and standard error, line by line as they came.
    """

    code: int
    stdout: str
    stderr: str
    both: str


class Output:
    """Gathers the lines of one program; each stream is read in a thread of its own."""

    def __init__(self, line: Callable[[Stream, str], None] | None) -> None:
        self._line = line
        self._lines: list[tuple[Stream, str]] = []
        self._lock = threading.Lock()

    def read(self, stream: Stream, source: Iterable[str]) -> None:
        """Reads a stream to its end, and passes each line on as it comes."""
        for text in source:
            with self._lock:
                self._lines.append((stream, text))
            if self._line:
                self._line(stream, text.rstrip("\n"))

    def finished(self, code: int) -> Finished:
        """All that was printed, once the program has ended with an exit code."""
        return Finished(
            code=code,
            stdout="".join(text for stream, text in self._lines if stream == "stdout"),
            stderr="".join(text for stream, text in self._lines if stream == "stderr"),
            both="".join(text for _, text in self._lines),
        )
