"""What the operator's command decides; that a real cluster does it is for tests/lab."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from operations import hub_backup
from operations.hub_backup import chosen, credentials, entries
from operations.hub_cluster import ClusterError, HubCluster, connected
from operations.hub_jobs import job_from, obstacle, outcome
from tests.unit.settings_files import PROGRAM

NEWEST, MIDDLE, OLDEST = (f"jupyterhub-202605{day}T031700Z.sqlite" for day in (12, 11, 10))
TABLE = f"{NEWEST}\t8192\t{NEWEST} is damaged: wrong # of entries\n{MIDDLE}\t8192\t12\n{OLDEST}\t8192\t11"
NOON = datetime.datetime(2026, 5, 12, 3, 17, tzinfo=datetime.UTC)

CRON_JOB: dict[str, Any] = {
    "metadata": {"name": "hub-backup", "uid": "1234"},
    "spec": {
        "schedule": "17 3 * * *",
        "jobTemplate": {
            "metadata": {"labels": {"app.kubernetes.io/name": "hub-backup"}},
            "spec": {
                "backoffLimit": 2,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [
                            {
                                "name": "hub-backup",
                                "image": "hub",
                                "command": ["python3"],
                                "args": ["/app/hub_database.py", "backup"],
                                "volumeMounts": [
                                    {"name": "database", "mountPath": "/srv", "readOnly": True},
                                    {"name": "copies", "mountPath": "/copies"},
                                    {"name": "program", "mountPath": "/app", "readOnly": True},
                                ],
                            }
                        ],
                    }
                },
            },
        },
    },
}


class ScriptedHub(HubCluster):
    """A cluster that notes what is asked of it, in order, and answers from a script."""

    def __init__(self, *, table: str = TABLE, restored: str | ClusterError = "restored") -> None:
        self.namespace, self.address = "jhub", "https://192.0.2.1"
        self.log: list[str] = []
        self._table, self._restored = table, restored

    def run(self, purpose: str, arguments: Sequence[str], *, writes: bool = False) -> str:
        self.log.append(f"{' '.join(arguments)}{' (writes)' if writes else ''}")
        if purpose == "list":
            return self._table
        if isinstance(self._restored, ClusterError):
            raise self._restored
        return self._restored

    def has_database(self) -> bool:
        return bool(self._table)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self.log.append("stop")
        try:
            yield
        finally:
            self.log.append("start")


def restore(cluster: HubCluster, wanted: str, agreed: bool = True) -> str:
    return hub_backup.restore(cluster, wanted, lambda: agreed, now=NOON)


def test_the_latest_is_the_newest_that_is_whole() -> None:
    assert chosen(entries(TABLE), "latest").name == MIDDLE
    assert chosen(entries(TABLE), OLDEST).users == 11


@pytest.mark.parametrize("wanted", [NEWEST, "jupyterhub-19700101T000000Z.sqlite"])
def test_what_cannot_be_restored_is_refused_with_what_can(wanted: str) -> None:
    with pytest.raises(ClusterError) as told:
        chosen(entries(TABLE), wanted)
    assert wanted in str(told.value)
    assert f"{OLDEST}  2026-05-10 03:17:00 UTC  8 KiB  11 users" in str(told.value)


def test_without_copies_it_says_so() -> None:
    with pytest.raises(ClusterError, match="no copies at all"):
        chosen(entries(""), "latest")


def test_a_restore_stops_the_hub_first_and_starts_it_last(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = ScriptedHub()
    assert restore(cluster, "latest") == "restored"
    assert cluster.log == ["list", "stop", f"restore {MIDDLE} (writes)", "start"]
    told = capsys.readouterr().out
    assert "In namespace jhub of https://192.0.2.1" in told
    assert "24.0 hours" in told


def test_a_restore_that_fails_starts_the_hub_again() -> None:
    cluster = ScriptedHub(restored=ClusterError("The Job failed: no space left"))
    with pytest.raises(ClusterError, match=r"Not restored\. The Job failed: no space left"):
        restore(cluster, "latest")
    assert cluster.log[-1] == "start"


def test_without_agreement_nothing_is_done() -> None:
    cluster = ScriptedHub()
    with pytest.raises(ClusterError, match="Nothing was done"):
        restore(cluster, "latest", agreed=False)
    assert cluster.log == ["list"]


def test_nobody_to_ask_is_a_no(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert not hub_backup.ask()
    assert "--yes" in capsys.readouterr().err


def test_before_the_first_installation_there_is_nothing_to_copy() -> None:
    cluster = ScriptedHub(table="")
    assert "nothing to back up" in hub_backup.before_upgrade(cluster)
    assert cluster.log == []


def test_an_upgrade_does_not_begin_without_a_copy() -> None:
    with pytest.raises(ClusterError, match=r"not upgraded.*damaged"):
        hub_backup.before_upgrade(ScriptedHub(restored=ClusterError("The Job failed: damaged")))


def test_a_job_is_what_the_cron_job_runs_with_other_arguments() -> None:
    job = job_from(CRON_JOB, "list", ["list"], writes=False)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["/app/hub_database.py", "list"]
    assert container["volumeMounts"][0]["readOnly"] is True
    assert job["spec"]["backoffLimit"] == 2
    assert job["metadata"]["ownerReferences"][0]["uid"] == "1234"
    assert CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][1] == "backup"


def test_a_job_that_writes_runs_once() -> None:
    job = job_from(CRON_JOB, "restore", ["restore", OLDEST], writes=True)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    read_only = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert read_only == {"database": False, "copies": False, "program": True}
    assert job["spec"]["backoffLimit"] == 0


def test_the_last_pods_word_counts() -> None:
    def pod(finished: str, message: str) -> dict[str, Any]:
        state = {"terminated": {"finishedAt": finished, "message": message}}
        return {"status": {"containerStatuses": [{"state": state}]}}

    pods = [pod("2026-05-12T03:18:00Z", "second\n"), pod("2026-05-12T03:17:00Z", "first"), {"status": {}}]
    assert outcome(pods) == "second"
    assert outcome([]) == ""


def test_what_holds_a_pod_up_is_told() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    assert (
        obstacle([{"status": {"containerStatuses": [{"state": waiting}]}}]) == "ErrImagePull: no such image"
    )
    assert obstacle([{"status": {"conditions": [unplaced]}}]) == "0/3 nodes are available"
    assert obstacle([{"status": {}}]) == ""


def test_credentials_come_from_where_they_are_named(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("from the file")
    assert credentials(file, {"KUBECONFIG_TEXT": "from the variable"}) == "from the file"
    assert credentials(None, {"KUBECONFIG_TEXT": "from the variable"}) == "from the variable"
    with pytest.raises(ClusterError, match="--kubeconfig"):
        credentials(None, {"KUBECONFIG": str(file)})
    with pytest.raises(ClusterError, match="missing: No such file"):
        credentials(tmp_path / "missing", {})


@pytest.mark.parametrize("command", ["list", "before-upgrade", "restore"])
def test_without_a_cluster_the_command_ends_in_one_sentence(command: str, tmp_path: Path) -> None:
    nobody = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(str(nobody).replace("'", '"'))
    more = ["--from", "latest", "--yes"] if command == "restore" else []
    done = subprocess.run(
        [
            sys.executable, "-m", "operations.hub_backup", command, "--kubeconfig", str(file),
            "--namespace", "jhub", *more,
        ],
        cwd=PROGRAM,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Nobody answers at https://127.0.0.1:1.\n"


@pytest.mark.parametrize("text", ["", "{", "- a list", "just: words", "clusters: [secret-token]"])
def test_what_is_no_kubeconfig_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(ClusterError, match="no kubeconfig") as told, connected(text, "jhub"):
        pass
    assert "secret" not in str(told.value)
