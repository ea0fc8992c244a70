"""`lab/rehearse.sh` with programs that stand in for Pulumi and kubectl."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import paths

LOCKS = Path(".lab/pulumi/backend/.pulumi/locks/organization/science-gateway/dev")

PULUMI = """#!/bin/sh
echo "pulumi $*"
if [ "$1" = up ] && [ -e fails ]; then echo "error: it fails" >&2; exit 255; fi
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A checkout with the script, and the lab's PATH."""
    for name, text in {
        ".venv/bin/python": f"#!/bin/sh\necho 'export PATH={tmp_path}/bin:/usr/bin:/bin'\n",
        "bin/pulumi": PULUMI,
        "bin/kubectl": '#!/bin/sh\necho "kubectl $*"\n',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    (tmp_path / "lab").mkdir()
    shutil.copy(paths.PROGRAM / "lab" / "rehearse.sh", tmp_path / "lab")
    return tmp_path


def rehearse(program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program / "lab" / "rehearse.sh"], env=os.environ, capture_output=True, text=True, check=False
    )


def test_it_brings_the_stack_up_and_says_what_stands(program: Path) -> None:
    done = rehearse(program)
    assert done.returncode == 0, done.stderr
    assert "pulumi up --stack dev --yes --non-interactive" in done.stdout
    assert done.stdout.index("pulumi stack output") < done.stdout.index("kubectl get nodes")
    assert done.stderr == ""


def test_a_failed_update_ends_it_with_pulumis_status(program: Path) -> None:
    (program / "fails").touch()
    done = rehearse(program)
    assert done.returncode == 255
    assert done.stderr == "error: it fails\n"
    assert "What stands" not in done.stdout


def test_a_lock_that_a_killed_update_left_is_told_with_the_cure(program: Path) -> None:
    (program / "fails").touch()
    (program / LOCKS).mkdir(parents=True)
    (program / LOCKS / "of-a-killed-one.json").touch()
    done = rehearse(program)
    assert done.returncode == 255
    assert "pulumi cancel --stack dev --yes" in done.stderr
    assert "What stands" not in done.stdout
