"""The image's Python environment: what environment.yml lists, and environment.lock with the hashes of it all.

    python -m jupyter_image.environment

writes environment.lock anew. What the lock has already stays at its version as long as it fits.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("environment.yml")
LOCK = Path(__file__).with_name("environment.lock")

PLATFORM = "x86_64-manylinux_2_28"
"""Jetstream2's nodes and LROSE's package are for this processor alone, and so is the image."""

HEADER = "# Made from environment.yml by `python -m jupyter_image.environment`; do not edit.\n"


class EnvironmentFileError(Exception):
    """An environment.yml that cannot be locked; the text says why."""


def python_version(file: Path = LIST) -> str:
    """The interpreter's version, such as ``3.13``.

    Raises:
        EnvironmentFileError: if the file does not say it as ``python=3.13``.
    """
    for entry in _dependencies(file):
        if isinstance(entry, str) and (found := re.fullmatch(r"python=(\d+\.\d+)", entry)):
            return found[1]
    raise EnvironmentFileError(
        f"{file.name} has no entry such as python=3.13; the base image's version goes there."
    )


def packages(file: Path = LIST) -> dict[str, str]:
    """The packages listed and their versions; names as the index writes them, without extras.

    Raises:
        EnvironmentFileError: if one has no exact version.
    """
    found: dict[str, str] = {}
    for line in _requirements(file):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,._-]+\])?==([A-Za-z0-9.!+]+)", line)
        if match is None:
            raise EnvironmentFileError(
                f"{file.name}: {line!r} has no exact version; write it as name==version."
            )
        found[normal(match[1])] = match[2]
    return found


def locked(file: Path = LOCK) -> dict[str, tuple[str, int]]:
    """The packages of a lock: version, and how many hashes it has."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for line in file.read_text().splitlines():
        if start := re.match(r"([a-z0-9.-]+)==(\S+)", line):
            name = start[1]
            found[name] = (start[2], 0)
        elif line.strip().startswith("--hash=sha256:"):
            version, hashes = found[name]
            found[name] = (version, hashes + 1)
    return found


def normal(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(file: Path = LIST, target: Path = LOCK) -> None:
    """Resolves the list and writes the lock.

    Raises:
        EnvironmentFileError: if the packages do not fit together; the text is the resolver's.
    """
    packages(file)
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "-",
        "--quiet",
        "--no-header",
        "--generate-hashes",
    ]
    command += [
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--only-binary",
        ":all:",
        "--output-file",
        str(target),
    ]
    command += ["--python-version", python_version(file), "--python-platform", PLATFORM]
    answer = subprocess.run(
        command, input="\n".join(_requirements(file)), text=True, capture_output=True, check=False
    )
    if answer.returncode:
        raise EnvironmentFileError(f"{file.name} cannot be locked:\n{answer.stderr.strip()}")
    target.write_text(HEADER + target.read_text())


def _requirements(file: Path) -> list[str]:
    return [line for entry in _dependencies(file) if isinstance(entry, dict) for line in entry["pip"]]


def _dependencies(file: Path) -> list[Any]:
    found: list[Any] = yaml.safe_load(file.read_text())["dependencies"]
    return found


def main() -> int:
    """The command line."""
    try:
        lock()
    except EnvironmentFileError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{LOCK.name}: {len(locked())} packages for Python {python_version()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
