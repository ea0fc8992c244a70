"""The supervisor's descendants, and how none of them outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""``linux/prctl.h``."""
MARK = "VIRTUAL_DESKTOP_FOLDER"
"""The variable by which the programs of a desktop are known."""
PATIENCE_SECONDS = 2.0
"""How long a program may take to end when it is asked to."""


def tie_to(parent: int) -> bool:
    """Makes this process end when its parent ends, in whatever way, and inherit its descendants' orphans.

    Returns:
        False if the parent has ended already.

    Raises:
        OSError: if the kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    for option, argument in ((PR_SET_PDEATHSIG, signal.SIGTERM), (PR_SET_CHILD_SUBREAPER, 1)):
        if library.prctl(option, int(argument), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    return os.getppid() == parent


def descendants() -> list[psutil.Process]:
    """All of them, also those whose parents have gone."""
    return psutil.Process().children(recursive=True)


def end(processes: Collection[psutil.Process]) -> None:
    """Asks processes to end, and makes those that do not.

    One that has become another user's, as by ``sudo``, is not ours to end; the others are ended all the same.
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    psutil.wait_procs(left, timeout=PATIENCE_SECONDS)


def left_behind(place: Path) -> list[psutil.Process]:
    """Programs of this desktop whose supervisor was killed before it could end them."""
    family = {os.getpid(), *(process.pid for process in descendants())}
    return [process for process in _own() if process.pid not in family and _mark(process) == str(place)]


def reap(ended_before: Collection[psutil.Process]) -> set[psutil.Process]:
    """Takes note of the end of orphans that became our children; nobody else would.

    Who waits for a child of ours does so at once. So only one that had ended at the look before, too, is an
    orphan; to take note of another's end would take its exit status from who waits for it.

    Args:
        ended_before: what the look before gave; between the two, asyncio's loop has turned.

    Returns:
        Those that have ended now and are still to be taken note of.
    """
    ended = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if child.status() != psutil.STATUS_ZOMBIE:
                continue
            if child in ended_before:
                os.waitpid(child.pid, os.WNOHANG)
            else:
                ended.add(child)
    return ended


def _own() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                yield process


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None
