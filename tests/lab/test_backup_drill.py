"""The drill: a real hub is copied while it works, loses its database, and goes on with the copy."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import paths
from stacks.settings_parsing import parse
from tests.lab import running_hub
from tests.lab.running_hub import RunningHub
from tests.unit.settings_files import GOOD, configuration
from tests.unit.test_hub_database import damage, users
from tests.unit.test_hub_values import values_of

SCRIPT = paths.PROGRAM / "operations" / "hub_database.py"
COPIES_WHILE_WRITTEN = 5
NO_CLUSTER = 'c.JupyterHub.spawner_class = "simple"\n'


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The chart's values of the smallest gateway."""
    return values_of(parse(*configuration(GOOD / "smallest.yaml")))


def script(folder: Path, *arguments: str) -> str:
    """The script as the pod runs it; what it printed."""
    copies = folder.parent / "copies"
    copies.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments],
        env={
            "HUB_DATABASE": str(folder / "jupyterhub.sqlite"),
            "HUB_BACKUPS": str(copies),
            "HUB_BACKUPS_KEPT": "14",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def knows(hub: RunningHub, name: str) -> bool:
    """Whether the hub knows a user."""
    return hub.api("GET", f"/users/{name}").ok


@contextlib.contextmanager
def writing(hub: RunningHub) -> Iterator[list[str]]:
    """The hub adds users as fast as it can, for the length of the block; those it has confirmed."""
    confirmed: list[str] = []
    refused: list[str] = []
    ends = threading.Event()

    def add() -> None:
        while not ends.is_set():
            name = f"user-{len(confirmed):05}"
            answer = hub.api("POST", f"/users/{name}")
            (confirmed if answer.status_code == 201 else refused).append(name)

    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield confirmed
    finally:
        ends.set()
        thread.join()
    assert not refused, "the hub could not write while it was copied"


def test_a_hub_that_has_lost_its_database_goes_on_with_the_copy(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    with running_hub.running(folder, values, more=NO_CLUSTER) as hub:
        with writing(hub) as confirmed:
            counted = []
            for _ in range(COPIES_WHILE_WRITTEN):
                before = len(confirmed)
                told = script(folder, "backup")
                counted.append((before, int(told.split()[1])))
                time.sleep(1)  # copies are named by the second
        assert hub.is_alive
        assert all(before <= copied for before, copied in counted), "a confirmed user is not in the copy"
        assert counted[0][1] < counted[-1][1], "nothing was written meanwhile"
        last = sorted((tmp_path / "copies").iterdir())[-1]
        in_copy = users(last)

    damage(folder / "jupyterhub.sqlite")
    with (
        pytest.raises(AssertionError, match="the hub"),
        running_hub.running(folder, values, more=NO_CLUSTER) as hub,
    ):
        assert knows(hub, max(in_copy)), "the hub has lost its users"

    assert "is the hub's database now" in script(folder, "restore", last.name)
    with running_hub.running(folder, values, more=NO_CLUSTER) as hub:
        assert knows(hub, min(in_copy))
        assert knows(hub, max(in_copy))
        assert hub.api("POST", "/users/after-the-restore").status_code == 201
    assert users(folder / "jupyterhub.sqlite") == in_copy | {"after-the-restore"}
