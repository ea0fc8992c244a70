"""Standard output and standard error: rich on a terminal, plain text anywhere else."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

PIPED_WIDTH = 10_000
"""Columns that are assumed where there is no terminal, so that no cell of a table is cut or wrapped."""


def output() -> Console:
    """Standard output. Without a terminal: no colour, no wrapping."""
    if sys.stdout.isatty():
        return Console()
    return Console(force_terminal=False, color_system=None, width=PIPED_WIDTH)


def say(console: Console, text: str = "", *, style: str | None = None) -> None:
    """Prints text as it is: nothing in it is markup, and lines are left to the terminal to wrap."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_json(value: Any) -> None:
    """Prints JSON. Numbers that JSON does not have (NaN) are an error, not an output."""
    print(json.dumps(value, indent=1, allow_nan=False))


def warn(text: str) -> None:
    """Prints a line on standard error, where it never mixes with results."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Shows on standard error that something is going on, while it is; nothing where no terminal is."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(text):
        yield
