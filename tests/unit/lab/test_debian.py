"""apt-get, beside others that run it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lab.debian import apt_get


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here: not a Debian or Ubuntu machine")
def test_one_waits_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    command = apt_get("--version")
    held, done = tmp_path / "held", tmp_path / "done"
    script = f"touch {held}; sleep 1; touch {done}"
    with subprocess.Popen(["flock", command[1], "sh", "-c", script]):
        while not held.exists():
            time.sleep(0.05)
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert done.exists()
    assert said.startswith("apt ")
