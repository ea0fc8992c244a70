"""The benchmark of the lab: it measures a lab at rest, and leaves none behind."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import lab


def looks(*seen: tuple[bool, float]) -> Any:
    """What `status` says, one after the other; the last one again and again."""
    left = list(seen)
    return lambda: dict(zip(("up", "memory_mib"), left.pop(0) if len(left) > 1 else left[0], strict=True))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(True, 1000), (True, 1005)], 1005),
        ([(True, 1000), (True, 1500), (True, 2000), (True, 2010)], 2010),
        # Much is freed once all has started.
        ([(True, 3000), (True, 2000), (True, 2000)], 2000),
        # Something is being started again.
        ([(False, 1000), (False, 1000), (True, 1400), (True, 1400)], 1400),
    ],
)
def test_memory_is_measured_when_nothing_changes_any_more(
    seen: list[tuple[bool, float]], expected: float
) -> None:
    assert lab.settled_memory(looks(*seen), pause=0) == expected


def test_memory_of_a_lab_that_never_rests_is_measured_in_the_end() -> None:
    assert lab.settled_memory(looks((False, 1000)), pause=0, patience=0) == 1000


def test_a_clone_whose_up_fails_is_stopped_before_its_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go need not be on PATH: the lab brings its own."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if command[0] == "git":
            python = Path(command[-1]) / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        if command[0] == "go":
            raise FileNotFoundError(command[0])
        if command[-1] == "up":
            raise subprocess.CalledProcessError(1, command)
        if command[-1] == "down":
            assert Path(options["cwd"]).is_dir()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(tmp_path / "new"))
    with pytest.raises(subprocess.CalledProcessError):
        lab.setup_time()
    assert [command[-1] for command in commands if command[-2:-1] == ["lab"]] == ["down", "up", "down"]
    assert not (tmp_path / "new").exists()
