"""Waiting for a condition: the only way in which these tests know of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 150.0
"""The machine may be very busy."""

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer | None], what: str, seconds: float = PATIENCE_SECONDS) -> Answer:
    """Asks again and again until the answer is true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s until {what}; last seen: {answer!r}"
        time.sleep(0.1)
