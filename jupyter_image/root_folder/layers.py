"""The layers of a root folder, kept in the user's cache by the content that went into them."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEEP_SECONDS = 3 * 86400
"""How long a layer that nobody used is kept: longer than two branches alternate."""


def cache() -> Path:
    """The folder of layers: ``$IMAGE_CACHE``, else ``science-gateway-image`` in the user's cache."""
    chosen = os.environ.get("IMAGE_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "science-gateway-image"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """A chain of layers.

    Attributes:
        folders: topmost first.
        key: hash of all that went into them.
    """

    folders: tuple[Path, ...]
    key: str


def key_of(*parts: str) -> str:
    """The key of what is made from these parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def content_key(path: Path) -> str:
    """The key of a file's or folder's content: names, texts, and what may be run."""
    total = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            name = str(file.relative_to(path))
            total.update(f"{name}\0{os.access(file, os.X_OK)}\0{file.stat().st_size}\0".encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def layer(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder of a layer, made unless it is there.

    Args:
        name: what it is, for people.
        key: of all that goes into it.
        make: fills an empty folder.
    """
    folder = cache() / "layers" / f"{name}-{key[:16]}"
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        space = Path(f"{unfinished}.space")
        try:
            # What a maker that was killed has left.
            for left in (unfinished, space):
                shutil.rmtree(left, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
        finally:
            for left in (unfinished, space):
                shutil.rmtree(left, ignore_errors=True)
    os.utime(folder)
    return folder


@contextmanager
def locked() -> Iterator[None]:
    """One maker of layers at a time on this machine."""
    folder = cache()
    (folder / "layers").mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def forget_unused() -> None:
    """Removes layers that nobody has used for some days."""
    for folder in (cache() / "layers").iterdir():
        if time.time() - folder.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(folder)
