"""What the lab costs: time to come up, memory with one cluster, and set-up from nothing.

Run from the project's root: ``.venv/bin/python -m benchmarks.lab``. It stops and starts this checkout's lab
and brings the ``dev`` stack up if no cluster stands. ``--from-nothing`` adds the long one: a fresh clone with
empty caches in a temporary folder, for which this checkout's lab has to be down meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.figures import Figure, show
from lab import environment, paths

RUNS = 3

PAUSE_SECONDS = 10.0
PATIENCE_SECONDS = 180.0


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    from_nothing: Annotated[
        bool, typer.Option("--from-nothing", help="Also set up a fresh clone with empty caches (long).")
    ] = False,
) -> None:
    """Measure the lab. Exit status 1 when a target is missed."""
    figures = [start_time(), memory()]
    if from_nothing:
        figures.append(setup_time())
    show(figures, as_json=as_json)


def start_time() -> Figure:
    """Seconds of ``up`` on an installed machine: the median of three, all processes stopped before each."""
    _lab("up")
    seconds = []
    for _ in range(RUNS):
        _lab("down")
        began = time.monotonic()
        _lab("up")
        seconds.append(time.monotonic() - began)
    return Figure(
        name="up on an installed machine (median of 3)", unit="s", value=statistics.median(seconds), target=60
    )


def memory() -> Figure:
    """MiB of all the lab's processes (proportional set size) with the dev stack's cluster at rest."""
    if not list(paths.CLUSTERS.glob("*/wanted.json")):
        subprocess.run(["make", "rehearse"], check=True, cwd=paths.PROGRAM, stdout=sys.stderr)
    kubectl = [str(paths.BIN / "kubectl"), "wait", "nodes", "--all"]
    subprocess.run(
        [*kubectl, "--for=condition=Ready", f"--timeout={PATIENCE_SECONDS:.0f}s"],
        check=True,
        env=environment.applied(os.environ),
        stdout=sys.stderr,
    )
    return Figure(name="memory with one cluster", unit="MiB", value=settled_memory(_status), target=4096)


def settled_memory(
    look: Callable[[], Mapping[str, Any]],
    *,
    pause: float = PAUSE_SECONDS,
    patience: float = PATIENCE_SECONDS,
) -> float:
    """Memory in MiB once all answers and two looks agree within 1 %: pods start well after `up` ends.

    Args:
        look: what ``python -m lab status --json`` prints.
        pause: seconds between two looks.
        patience: seconds after which the last look counts in any case.
    """
    deadline = time.monotonic() + patience
    before = look()
    while True:
        time.sleep(pause)
        now = look()
        is_steady = abs(now["memory_mib"] - before["memory_mib"]) <= 0.01 * now["memory_mib"]
        if (now["up"] and is_steady) or time.monotonic() > deadline:
            return float(now["memory_mib"])
        before = now


def setup_time() -> Figure:
    """Minutes from a fresh clone with empty caches to a lab that is up."""
    _lab("down")
    folder = Path(tempfile.mkdtemp(prefix="science-gateway-"))
    clone = folder / "clone"
    empty = {
        "LAB_CACHE": str(folder / "cache"),
        "GOCACHE": str(folder / "go-build"),
        "GOMODCACHE": str(folder / "go-modules"),
        "PIP_NO_CACHE_DIR": "1",
    }
    python = clone / ".venv" / "bin" / "python"
    try:
        subprocess.run(["git", "clone", "--quiet", str(paths.PROGRAM), str(clone)], check=True)
        began = time.monotonic()
        subprocess.run(["make", ".venv"], check=True, cwd=clone, env=_with(empty), stdout=sys.stderr)
        subprocess.run([str(python), "-m", "lab", "up"], check=True, cwd=clone, env=_with(empty))
        minutes = (time.monotonic() - began) / 60
    finally:
        if python.exists():
            # After a failed `up` as well: its processes would outlive the folder and keep the lab's ports.
            subprocess.run([str(python), "-m", "lab", "down"], check=False, cwd=clone, env=_with(empty))
        # Go makes its modules read-only.
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    return Figure(name="set-up from nothing", unit="min", value=minutes, target=30)


def _status() -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "lab", "status", "--json"],
        check=False,
        stdout=subprocess.PIPE,
        cwd=paths.PROGRAM,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _lab(command: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", command], check=True, cwd=paths.PROGRAM)


def _with(variables: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **variables}


if __name__ == "__main__":
    typer.run(main)
