"""What tests of the lab's parts share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import paths, processes


@pytest.fixture
def own_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pid and log files of each test lie in a folder of its own; nothing survives it."""
    monkeypatch.setattr(paths, "RUN", tmp_path / "run")
    monkeypatch.setattr(paths, "LOG", tmp_path / "log")
    yield
    for name in processes.known():
        processes.stop(name, grace=0.1)
