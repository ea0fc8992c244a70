"""What the clusters' folders say to the lab's other processes: who answers, and what cannot be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import kubernetes, paths, processes
from lab.errors import LabError
from lab.internet import service as web
from lab.kubernetes import keeper
from lab.kubernetes.api import Api, ApiError
from lab.kubernetes.control_plane import STOP_ORDER, ControlPlane
from lab.kubernetes.folders import Folder
from lab.kubernetes.keeper import Keeper

UUID = "6d2f1a5e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clusters, pid and log files of each test lie in a folder of its own; nothing survives it."""
    for name in ("RUN", "LOG", "CLUSTERS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(keeper, "KUBECONFIG", tmp_path / "kubeconfig")
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
    plane.pki("admin.crt").parent.mkdir()
    plane.pki("admin.crt").touch()
    for part in STOP_ORDER:
        start(f"{plane.name}-{part}")
    ready = kubernetes.service().ready
    assert ready is not None
    assert ready()

    processes.stop(f"{plane.name}-{missing}", grace=0.1)

    assert not ready()


def test_a_cluster_that_the_keeper_has_not_made_yet_is_none_of_the_webs(cluster: Folder) -> None:
    """Nor does the web give it a slot: two of the keeper's clusters could get the same one."""
    assert list(web.clusters()) == []
    assert cluster.slot() is None

    # A slot, but no certificates yet.
    cluster.take_slot()
    assert list(web.clusters()) == []


def test_certificates_that_go_while_the_web_looks_are_an_api_servers_silence(cluster: Folder) -> None:
    api = Api(cluster.control_plane())
    with pytest.raises(ApiError) as silence:
        api.list("/api/v1/pods")
    assert silence.value.status == 0
    assert not api.is_ready()


@pytest.mark.parametrize("file", ["wanted.json", "observed.json"])
@pytest.mark.parametrize("content", ['{"generation": 1, "of_another_version": true}', "{", "[]"])
def test_a_file_of_another_version_is_a_sentence_with_the_cure(
    cluster: Folder, file: str, content: str
) -> None:
    (cluster.path / file).write_text(content)
    ready = kubernetes.service().ready
    assert ready is not None
    with pytest.raises(LabError) as refused:
        ready()
    assert str(cluster.path / file) in str(refused.value)
    assert "python -m lab reset" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("file", ["wanted.json", "observed.json"])
def test_a_file_of_another_version_takes_neither_keeper_nor_web_away(
    cluster: Folder, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    (cluster.path / file).write_text("{}")
    Keeper()._step()
    assert list(web.clusters()) == []
    told = [record.message for record in caplog.records if file in record.message]
    assert len(told) == 2
    assert not any(record.exc_info for record in caplog.records)
