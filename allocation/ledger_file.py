"""A file of lines that many processes append to: a crash, another writer or a bad line loses nothing.

The lock is flock(2) on the file itself, so that no lock file lies about. A file that is replaced gets a new
inode; who waited on the old one notices and takes the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from allocation.errors import AllocationError


@dataclasses.dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used.

    Attributes:
        number: its place in the file, from 1.
        text: as it stands there; bytes that are no UTF-8 as ``\\x..``.
        reason: what is wrong with it.
    """

    number: int
    text: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What shall happen to a file.

    Attributes:
        lines: to append, without line ends.
        bad: lines to move into the side file.
        whole: all lines or none are appended even if the machine dies; else a crash may leave the first of
            them, and the beginning of one more.
    """

    lines: Sequence[str]
    bad: tuple[BadLine, ...] = ()
    whole: bool = False


def side_file(path: Path) -> Path:
    """Where the bad lines of a file are moved to: beside it, with ``.bad`` added to its name.

    Beside the file itself, where the path is a symbolic link to it.
    """
    path = path.resolve()
    return path.with_name(path.name + ".bad")


def shown(line: bytes) -> str:
    """A line as text, whatever its bytes are."""
    return line.decode("utf-8", "backslashreplace")


def read_bytes(path: Path) -> bytes:
    """All of a file, between two appends. Changes nothing.

    Raises:
        AllocationError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # A file system without locks is read all the same: at worst an append is seen half done.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_SH)
            return file.read()
    except FileNotFoundError:
        raise AllocationError(f"there is no file {path}; name another, or have `record` begin it") from None
    except OSError as error:
        raise AllocationError(f"{path} cannot be read: {error.strerror}") from None


def append_lines(path: Path, lines: Sequence[str], *, header: str) -> tuple[BadLine, ...]:
    """Appends lines; a last line that a crash left unfinished is moved into the side file before.

    Returns:
        The unfinished line, if there was one.

    Raises:
        AllocationError: as ``update``.
    """
    unfinished: tuple[BadLine, ...] = ()

    def decide(content: bytes) -> Change:
        nonlocal unfinished
        before, _, last = content.rpartition(b"\n")
        if last:
            number = before.count(b"\n") + (2 if before else 1)
            unfinished = (BadLine(number, shown(last), "was cut off"),)
        return Change(lines, unfinished)

    update(path, decide, header=header)
    return unfinished


def update(path: Path, decide: Callable[[bytes], Change], *, header: str) -> None:
    """Changes a file while no other process does; returns when the change is on the disk.

    Args:
        path: the file; made if there is none.
        decide: says from what the file holds what to do. Whatever it raises leaves the file as it is.
        header: first line of a file that has none yet.

    Raises:
        AllocationError: if the file cannot be written; it is then as it was.
    """
    try:
        path = path.resolve()  # a symbolic link stays one when the file behind it is replaced
        with _locked(path) as file:
            size = os.fstat(file).st_size
            content = _read(file, size)
            change = decide(content)
            if change.bad or change.whole:
                _replace(path, file, content, change, header)
            elif change.lines:
                _append(path, file, content, change.lines, header)
    except OSError as error:
        raise AllocationError(f"{path} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file behind a path, open and locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, path):
                yield file
                return
        finally:
            os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one behind the path, and was not replaced while it was waited for."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _read(file: int, size: int) -> bytes:
    parts: list[bytes] = []
    position = 0
    while position < size:
        part = os.pread(file, size - position, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _append(path: Path, file: int, content: bytes, lines: Sequence[str], header: str) -> None:
    """One write at the end. If the disk is full, what was written of it is cut off again."""
    try:
        _write(file, _closed(content, header)[len(content) :] + _joined(lines))
        os.fsync(file)
    except OSError:
        os.ftruncate(file, len(content))
        raise
    if not content:
        _sync_directory(path)


def _replace(path: Path, file: int, content: bytes, change: Change, header: str) -> None:
    """Puts a new file in place of the old in one step, after its bad lines are safe in the side file.

    A crash between the two leaves the bad lines in both: twice is better than never.
    """
    every = content.split(b"\n")
    numbers = {bad.number for bad in change.bad}
    kept = b"\n".join(line for number, line in enumerate(every, 1) if number not in numbers)
    like = os.fstat(file)
    if numbers:
        _set_aside(side_file(path), [every[number - 1] for number in sorted(numbers)], like)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a process that died here; the lock says that no other is here now
    with _created(fresh, os.O_EXCL, like) as new:
        _write(new, _closed(kept, header) + _joined(change.lines))
        os.fsync(new)
    fresh.rename(path)
    _sync_directory(path)


def _set_aside(path: Path, lines: Sequence[bytes], like: os.stat_result) -> None:
    with _created(path, os.O_APPEND, like) as file:
        size = os.fstat(file).st_size
        unfinished = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        _write(file, b"\n" * unfinished + b"".join(line + b"\n" for line in lines))
        os.fsync(file)


@contextlib.contextmanager
def _created(path: Path, flags: int, like: os.stat_result) -> Iterator[int]:
    """A file beside another, for the same readers: one that root's cron job replaces stays its owner's."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    try:
        with contextlib.suppress(PermissionError):
            os.fchown(file, like.st_uid, like.st_gid)
        os.fchmod(file, stat.S_IMODE(like.st_mode))
        yield file
    finally:
        os.close(file)


def _closed(content: bytes, header: str) -> bytes:
    """What a file holds, so that a line may follow: with a header, its last line ended."""
    if not content.strip():
        return content + _joined([header])
    return content if content.endswith(b"\n") else content + b"\n"


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_directory(path: Path) -> None:
    """Has the name of a new file survive a crash too."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
