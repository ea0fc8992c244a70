"""The lab's accounting service: Jetstream2's API of Service Units (SU), fed by the servers that Nova has."""

from __future__ import annotations

import sys

from lab import paths, processes
from lab.ports import ACCOUNTING, HOST


def service() -> processes.Service:
    """The service; it answers as soon as it listens."""
    return processes.Service(
        name="accounting",
        command=[sys.executable, "-m", "lab.accounting.service"],
        # It asks Keystone and Nova; a proxy of the user's must not come between.
        environment={"NO_PROXY": HOST, "no_proxy": HOST},
        ports=[ACCOUNTING],
        ready=processes.answers_http(ACCOUNTING),
        directory=paths.PROGRAM,
    )
