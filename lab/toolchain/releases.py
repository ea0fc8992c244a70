"""Second choice: the official release, if it can be reached and its checksum is right."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import requests

from lab import paths
from lab.errors import LabError
from lab.toolchain.inventory import Release

CONNECT_SECONDS = 3.0
READ_SECONDS = 60.0


class UnreachableError(Exception):
    """A release site cannot be reached: try the next way. Never retried within a run."""


_unreachable: set[str] = set()
_download_lock = threading.Lock()


def install(release: Release, folder: Path) -> None:
    """Downloads a release, verifies it and unpacks its binaries into a folder.

    Raises:
        UnreachableError: if the release or its checksum list cannot be fetched.
        LabError: if the checksum is wrong or a binary is missing; nothing is installed then.
    """
    with _download_lock:
        archive = _download(release)
    for binary, member in release.members.items():
        target = folder / binary
        if not member:
            shutil.copyfile(archive, target)
        else:
            _extract(archive, member, target, release.url)
        target.chmod(0o755)


def expected_checksum(checksums: str, file_name: str) -> str | None:
    """The SHA-256 of a file in a checksum list: ``HASH  NAME`` lines, or a list of one bare hash."""
    lines = [line.split() for line in checksums.splitlines() if line.strip()]
    for words in lines:
        if len(words) >= 2 and words[-1].lstrip("*").rpartition("/")[2] == file_name:
            return words[0].lower()
    return lines[0][0].lower() if len(lines) == 1 and len(lines[0]) == 1 else None


def _download(release: Release) -> Path:
    name = release.url.rpartition("/")[2]
    by = "versions.toml" if release.sha256 else "its publisher"
    expected = release.sha256 or expected_checksum(_get(release.checksums).text, name)
    if expected is None:
        raise LabError(f"{release.checksums} has no checksum for {name}: the release is not used.")
    kept = paths.cache() / "downloads" / f"{expected[:16]}-{name}"
    if not kept.exists():
        content = _get(release.url).content
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise LabError(
                f"{release.url} has SHA-256 {actual}, but {by} says {expected}: not installed. "
                "Something between here and the publisher changes files; try from another network."
            )
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_bytes(content)
        partial.rename(kept)
    return kept


def _get(url: str) -> requests.Response:
    host = urlsplit(url).netloc
    if host in _unreachable:
        raise UnreachableError(host)
    try:
        answer = requests.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS))
        answer.raise_for_status()
    except requests.RequestException as error:
        if not isinstance(error, requests.HTTPError):
            _unreachable.add(host)
        raise UnreachableError(f"{url}: {error}") from error
    return answer


def _extract(archive: Path, member: str, target: Path, url: str) -> None:
    with tarfile.open(archive) as tar:
        # Some archives name their members ./pulumi-resource-…
        wanted = next((m for m in tar.getmembers() if m.name.removeprefix("./") == member), None)
        source = tar.extractfile(wanted) if wanted else None
        if source is None:
            raise LabError(f"{url} holds no {member}: versions.toml and the release disagree.")
        with source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
