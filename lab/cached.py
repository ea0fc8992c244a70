"""Entries of the cache: folders that checkouts share, each made by one of them at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

COMPLETE = ".complete"
"""Written last into an entry; one without it was interrupted and is made again."""


def ensure(entry: Path, make: Callable[[Path], None]) -> None:
    """Makes an entry unless it is complete.

    Args:
        entry: the folder.
        make: fills it; the folder does not exist when it is called.
    """
    if (entry / COMPLETE).exists():
        return
    with _alone(entry):
        if not (entry / COMPLETE).exists():
            if entry.exists():
                shutil.rmtree(entry)
            make(entry)
            (entry / COMPLETE).touch()


@contextlib.contextmanager
def _alone(entry: Path) -> Iterator[None]:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Commands that outlive a killed lab keep the lock, so that nobody builds where they still write.
        os.set_inheritable(lock.fileno(), True)
        yield
