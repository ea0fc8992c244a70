"""What the clusters' folders say to the lab's other processes: who answers, and what cannot be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import kubernetes, paths, processes
from lab.kubernetes.control_plane import STOP_ORDER, ControlPlane
from lab.kubernetes.folders import Folder

UUID = "6d2f1a5e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clusters, pid and log files of each test lie in a folder of its own; nothing survives it."""
    for name in ("RUN", "LOG", "CLUSTERS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    yield
    for name in processes.known():
        processes.stop(name, grace=0.1)


def wanted(**changed: Any) -> str:
    """What Magnum's driver writes of a cluster without groups."""
    plain = {
        "generation": 1,
        "uuid": UUID,
        "name": "dev",
        "created_at": "2026-01-01T00:00:00",
        "deleted": False,
        "version": "v1.33.1",
        "network": "network",
        "external_network": "public",
        "reclaim_policy": "Retain",
        "volume_expansion": True,
        "auto_healing": True,
        "groups": [],
    }
    return json.dumps({**plain, **changed})


@pytest.fixture
def cluster() -> Folder:
    """A cluster that Magnum wants and the keeper has not looked at yet."""
    folder = Folder(path=paths.CLUSTERS / UUID)
    folder.path.mkdir(parents=True)
    (folder.path / "wanted.json").write_text(wanted())
    return folder


def start(name: str) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    processes.start(processes.Service(name=name, command=sleep))


@pytest.mark.parametrize("missing", STOP_ORDER)
def test_the_keeper_is_ready_only_if_all_of_a_control_plane_runs(
    cluster: Folder, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ControlPlane, "answers", lambda _plane: True)
    plane = cluster.control_plane()
    for part in STOP_ORDER:
        start(f"{plane.name}-{part}")
    ready = kubernetes.service().ready
    assert ready is not None
    assert ready()

    processes.stop(f"{plane.name}-{missing}", grace=0.1)

    assert not ready()
