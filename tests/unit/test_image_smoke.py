"""The smoke test's look at the desktop: tests/image sees it succeed, this one that it can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_image import smoke_test

IMAGE = Path(smoke_test.__file__).parent
ENTRY_POINT = "[jupyter_serverproxy_servers]\nvirtual-desktop = virtual_desktop.registration:server\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with the desktop's in it, as pip would leave it."""
    made = tmp_path / "site"
    described = made / "virtual_desktop-0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: virtual-desktop\nVersion: 0\n")
    (described / "entry_points.txt").write_text(ENTRY_POINT)
    (made / "virtual_desktop").symlink_to(IMAGE / "desktop" / "virtual_desktop")
    return made


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """One whose path leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="run-") as name:
        yield Path(name)


def test_a_desktop_that_does_not_start_is_seen_and_leaves_nothing(site: Path, short_folder: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}:{IMAGE}",
        "XDG_RUNTIME_DIR": str(short_folder),
        "VIRTUAL_DESKTOP_IDLE_MINUTES": "soon",
    }
    command = [sys.executable, "-c", "import smoke_test; print(smoke_test.desktop_starts())"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert answer.returncode == 1
    # Where the programs are not installed either, that is what it says.
    assert re.search(
        r"CheckError: 503: (VIRTUAL_DESKTOP_IDLE_MINUTES='soon'|.* not installed)", answer.stderr
    )
    assert "[virtual-desktop " in answer.stderr, "what the desktop said is told"
    assert list(short_folder.iterdir()) == []


def test_the_smoke_test_starts_the_desktop() -> None:
    assert smoke_test.desktop_starts in [check for _, check in smoke_test.checks()]
