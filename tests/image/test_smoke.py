"""The image's smoke test starts the real desktop; see tests/unit/test_image_smoke.py for how it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jupyter_image import smoke_test
from tests.image.running_lab import environment


def test_the_smoke_test_sees_the_desktop_start_and_end(site: Path, tmp_path: Path) -> None:
    variables = environment(site, tmp_path)
    variables["PYTHONPATH"] += f":{Path(smoke_test.__file__).parent}"
    answer = subprocess.run(
        [sys.executable, "-c", "import smoke_test; print(smoke_test.desktop_starts())"],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("after ")
