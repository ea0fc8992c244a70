"""Finding and running the programs that set OpenStack up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import paths
from lab.errors import LabError

DIES_WITH_LAB = ["setpriv", "--pdeathsig", "KILL", "--"]
"""Before a command: the kernel ends it when the lab's process ends, even by a kill."""


def find_program(name: str) -> Path | None:
    """A program on PATH or in /usr/sbin, which is not on every user's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return Path(found) if found else None


def run(
    command: Sequence[str],
    log: str,
    environment: Mapping[str, str] | None = None,
    may_outlive_lab: bool = False,
) -> None:
    """Runs a set-up command with its output in a log of its own.

    Args:
        command: program and arguments.
        log: the log's name, without folder and suffix.
        environment: added to the lab's own.
        may_outlive_lab: for a command that a kill would leave half done, and that can finish alone.

    Raises:
        LabError: if it fails; the text ends with its last lines.
    """
    paths.LOG.mkdir(parents=True, exist_ok=True)
    path = paths.LOG / f"{log}.log"
    with path.open("wb") as output:
        result = subprocess.run(
            [*([] if may_outlive_lab else DIES_WITH_LAB), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
            # Hands on the locks of the cache, and nothing else: Python marks all other files as its own.
            close_fds=False,
        )
    if result.returncode != 0:
        tail = path.read_text(errors="replace").splitlines()[-10:]
        raise LabError("\n".join([f"The step {log} failed; the last lines of {path}:", *tail]))
