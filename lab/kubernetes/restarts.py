"""When a process that died may be started again."""

from __future__ import annotations

import time

LONGEST_SECONDS = 30.0
FORGIVEN_SECONDS = 60.0


class Restarts:
    """One that dies again and again is started at ever longer intervals, up to half a minute."""

    def __init__(self) -> None:
        self._starts: dict[str, tuple[int, float]] = {}

    def may_start(self, name: str) -> bool:
        """Has a process waited long enough? If so, this counts as its start."""
        count, last = self._starts.get(name, (0, float("-inf")))
        now = time.monotonic()
        if now - last < min(LONGEST_SECONDS, 2.0**count - 1):
            return False
        self._starts[name] = (count + 1 if now - last < FORGIVEN_SECONDS else 1, now)
        return True

    def forget(self, name: str) -> None:
        """The process is not wanted any more."""
        self._starts.pop(name, None)
