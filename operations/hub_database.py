"""Copies the hub's database while the hub uses it, and puts a copy back.

Runs in a pod of the hub's own image, with nothing but this file and Python's standard library. Commands:
``backup``, ``list``, ``restore NAME``. By environment:

- HUB_DATABASE: the SQLite file that the hub uses;
- HUB_BACKUPS: the folder of the copies;
- HUB_BACKUPS_KEPT: how many of them are kept;
- HUB_BACKUP_REPORT: where the outcome is written once more, for a reader who cannot see the log. Kubernetes
  shows at most 4096 bytes of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = re.compile(r"jupyterhub-\d{8}T\d{6}Z\.sqlite")
"""Copies are named by the time they were made, in UTC: sorted by name they are sorted by age."""

TIME = "%Y%m%dT%H%M%SZ"
PARTIAL = ".partial"
PATIENCE_SECONDS = 120.0
REPORT_BYTES = 4096
BESIDE = ("-journal", "-wal", "-shm")
"""Files that SQLite keeps beside a database; one that belongs to another database destroys this one."""


class BackupError(Exception):
    """What could not be done; the text says why, and what helps."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of the database.

    Attributes:
        name: its file's name.
        size: in bytes.
        users: how many users it knows.
    """

    name: str
    size: int
    users: int


def verified(file: Path) -> Copy:
    """Opens a database and looks at all of it.

    Raises:
        BackupError: if it is damaged, or no hub's.
    """
    with _opened(file) as database:
        try:
            (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                raise BackupError(f"{file.name} is damaged: {answer}")
            (users,) = database.execute("SELECT count(*) FROM users").fetchone()
        except sqlite3.Error as error:
            raise BackupError(f"{file.name} is damaged or no hub's database: {error}") from None
    return Copy(name=file.name, size=file.stat().st_size, users=users)


def copies(folder: Path) -> list[str]:
    """Names of the copies in a folder, the newest first."""
    return sorted((file.name for file in folder.iterdir() if NAME.fullmatch(file.name)), reverse=True)


def back_up(
    database: Path,
    folder: Path,
    *,
    keep: int,
    now: datetime.datetime,
    patience: float = PATIENCE_SECONDS,
) -> Copy | None:
    """Makes a copy that holds one moment of the database, however busy the hub is.

    Older copies are removed only after the new one has been opened and found whole.

    Args:
        database: the hub's database.
        folder: where copies are kept.
        keep: how many are kept, the new one included.
        now: the time that names it, in UTC.
        patience: seconds to wait for a moment in which nobody writes.

    Returns:
        The copy, or None if the hub has never made a database.

    Raises:
        BackupError: if there is no new copy; all older ones are still there then.
    """
    if not database.exists():
        if copies(folder):
            raise BackupError(f"{database} is gone, but there are copies of it: restore one.")
        return None
    final = folder / f"jupyterhub-{now.strftime(TIME)}.sqlite"
    # A name of its own: a scheduled run and one before an upgrade may meet.
    handle, name = tempfile.mkstemp(suffix=PARTIAL, dir=folder)
    os.close(handle)
    partial = Path(name)
    try:
        _copy(database, partial, patience)
        made = verified(partial)
        _synchronise(partial)
        # Unlike a rename, this never takes the place of a copy that another run made in the same second.
        os.link(partial, final)
    except FileExistsError:
        raise BackupError(f"{final.name} exists already: another run made it in this very second.") from None
    finally:
        partial.unlink(missing_ok=True)
    _synchronise(folder)
    for old in copies(folder)[keep:]:
        (folder / old).unlink()
    # What runs that were killed have left; a run that is still at it does not take an hour.
    for file in folder.glob(f"*{PARTIAL}*"):
        if now.timestamp() - file.stat().st_mtime > 3600:
            file.unlink()
    return dataclasses.replace(made, name=final.name)


def restore(copy: Path, database: Path, *, now: datetime.datetime) -> Path | None:
    """Puts a copy in the place of the database. The hub must be stopped.

    Until the copy is whole and in the database's folder, nothing is changed. A run that was interrupted is
    made good by the next one.

    Args:
        copy: the file to restore.
        database: the file that the hub uses.
        now: the time that names what is replaced, in UTC.

    Returns:
        Where the replaced database is now, or None if there was none.

    Raises:
        BackupError: if the copy is not there or damaged.
    """
    if not copy.exists():
        raise BackupError(f"There is no copy {copy.name}.")
    incoming = database.with_name(database.name + PARTIAL)
    try:
        shutil.copyfile(copy, incoming)
        verified(incoming)
        _synchronise(incoming)
        replaced = None
        if database.exists():
            replaced = database.with_name(f"{database.name}.replaced-{now.strftime(TIME)}")
            # A second name, not a move: were there no database for a moment, the hub could make one.
            os.link(database, replaced)
        for ending in BESIDE:
            with contextlib.suppress(FileNotFoundError):
                beside = database.with_name(database.name + ending)
                beside.unlink() if replaced is None else beside.rename(f"{replaced}{ending}")
        incoming.rename(database)
    finally:
        incoming.unlink(missing_ok=True)
    _synchronise(database.parent)
    return replaced


def table(folder: Path) -> str:
    """The copies as lines of name, bytes and users, by tabs; instead of users, what is wrong with a copy.

    At most as many as a report holds: the newest.
    """
    lines: list[str] = []
    for name in copies(folder):
        try:
            copy = verified(folder / name)
        except BackupError as error:
            line = f"{name}\t{(folder / name).stat().st_size}\t{error}"
        else:
            line = f"{name}\t{copy.size}\t{copy.users}"
        if len("\n".join([*lines, line]).encode()) > REPORT_BYTES:
            break
        lines.append(line)
    return "\n".join(lines)


def run(arguments: Sequence[str], environment: Mapping[str, str], now: datetime.datetime) -> str:
    """Does what the command line asks.

    Returns:
        The outcome in words, or the table of copies.

    Raises:
        BackupError: if it cannot be done.
    """
    database, folder = Path(environment["HUB_DATABASE"]), Path(environment["HUB_BACKUPS"])
    match list(arguments):
        case ["backup"]:
            made = back_up(database, folder, keep=int(environment["HUB_BACKUPS_KEPT"]), now=now)
            if made is None:
                return f"Nothing to back up: the hub has not made {database} yet."
            return f"{made.name}: {made.users} users, {made.size} bytes, whole"
        case ["list"]:
            return table(folder)
        case ["restore", name] if NAME.fullmatch(name):
            replaced = restore(folder / name, database, now=now)
            kept = "there was none before" if replaced is None else f"the one before is kept as {replaced}"
            return f"{name} is the hub's database now; {kept}"
    raise BackupError(f"{' '.join(arguments)} is none of: backup, list, restore NAME")


def main() -> int:
    """Runs a command, and reports its outcome.

    Returns:
        The exit status: 0 if it was done.
    """
    # Copies hold tokens and users' encrypted credentials.
    os.umask(0o077)
    try:
        status, outcome = 0, run(sys.argv[1:], os.environ, datetime.datetime.now(datetime.UTC))
    except BackupError as error:
        status, outcome = 1, str(error)
    except OSError as error:
        status, outcome = 1, f"{error.filename or 'the database'}: {error.strerror}"
    print(outcome, file=sys.stderr if status else sys.stdout)
    if report := os.environ.get("HUB_BACKUP_REPORT"):
        Path(report).write_bytes(outcome.encode()[:REPORT_BYTES])
    return status


def _opened(file: Path) -> contextlib.closing[sqlite3.Connection]:
    """A database opened for reading only, and never made."""
    address = f"file:{urllib.parse.quote(str(file.absolute()))}?mode=ro"
    try:
        return contextlib.closing(sqlite3.connect(address, uri=True, timeout=5))
    except sqlite3.Error as error:
        raise BackupError(f"{file} cannot be opened: {error}") from None


def _copy(database: Path, target: Path, patience: float) -> None:
    deadline = time.monotonic() + patience

    def give_up(status: int, _left: int, _pages: int) -> None:
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise BackupError(f"{database} was being written to for {patience:.0f} s without a pause.")

    with _opened(database) as source, contextlib.closing(sqlite3.connect(target)) as destination:
        try:
            # All pages in one step: the hub waits for a moment, and the copy never starts over.
            source.backup(destination, pages=-1, progress=give_up)
        except sqlite3.Error as error:
            raise BackupError(f"{database} cannot be copied: {error}") from None


def _synchronise(path: Path) -> None:
    """Makes a file or a folder's names last through a failure of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
