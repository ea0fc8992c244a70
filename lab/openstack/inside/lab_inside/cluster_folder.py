"""The folder through which the Magnum driver and the keeper of the clusters speak to each other.

The driver writes ``wanted.json`` and the cluster's CA, the keeper ``observed.json`` and all the rest.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

CLUSTERS = Path(__file__).resolve().parents[4] / ".lab" / "clusters"


def path(uuid: str) -> Path:
    """The folder of a cluster; it may not exist."""
    return CLUSTERS / uuid


def wanted(uuid: str) -> dict[str, Any] | None:
    """What was last asked of the keeper, or None."""
    return _read(path(uuid) / "wanted.json")


def observed(uuid: str) -> dict[str, Any] | None:
    """What the keeper sees, or None while it has not yet answered what was last asked of it."""
    asked, seen = wanted(uuid), _read(path(uuid) / "observed.json")
    if asked is None or seen is None or seen["generation"] < asked["generation"]:
        return None
    return seen


def ask(uuid: str, what: dict[str, Any]) -> None:
    """Asks something of the keeper; it knows a new request by its generation."""
    last = wanted(uuid)
    generation = last["generation"] + 1 if last else 1
    write(uuid, "wanted.json", json.dumps({"generation": generation, **what}, indent=1))


def write(uuid: str, file: str, content: str) -> None:
    """Writes a file, mode 0600, in one step: a reader never sees half of it."""
    target = path(uuid) / file
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = target.with_name(f".{target.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(content)
    temporary.rename(target)


def remove(uuid: str) -> None:
    """Removes a cluster's folder; one that is gone is fine."""
    shutil.rmtree(path(uuid), ignore_errors=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return found
