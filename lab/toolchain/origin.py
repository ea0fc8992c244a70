"""What is known of an installed tool: where it came from, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Source = Literal["on PATH", "official release", "built from Go modules", "the lab's own plugin"]


class Origin(BaseModel):
    """One installed tool, as ``status`` shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    version: str
    source: Source
    binaries: dict[str, Path]
    seconds: float
    """How long it took to get."""


def write(origin: Origin, folder: Path) -> None:
    """Marks a folder as complete. Written last: a folder without it is an unfinished one."""
    (folder / "origin.json").write_text(origin.model_dump_json(indent=1))


def read(folder: Path) -> Origin | None:
    """The origin of a complete folder; None if it is unfinished or a binary is missing."""
    try:
        origin = Origin.model_validate(json.loads((folder / "origin.json").read_text()))
    except (OSError, ValueError):
        return None
    return origin if all(path.is_file() for path in origin.binaries.values()) else None
