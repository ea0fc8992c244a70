"""Code that every Python of a run executes before its own: another clock, or a fault where none happens by
itself. The program under test is the shipped one."""

from __future__ import annotations

from pathlib import Path


def installed(folder: Path, code: str) -> dict[str, str]:
    """The environment in which each Python begins with this code.

    Args:
        folder: where the code is put; made if it is not there.
        code: what runs first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}
