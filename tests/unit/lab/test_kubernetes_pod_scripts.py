"""Which pods the lab runs for real, and how a process that dies is started again."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.kubernetes import restarts, scheduler_profiles
from lab.kubernetes.pod_scripts import UnsupportedError, script_of
from lab.kubernetes.restarts import Restarts

POD: dict[str, Any] = {
    "metadata": {"name": "keeper-1", "namespace": "kube-system", "uid": "u-1"},
    "spec": {
        "serviceAccountName": "keeper",
        "containers": [
            {
                "name": "main",
                "image": "python:3.13.5-alpine",
                "command": ["python3", "/app/main.py"],
                "args": ["--token=/var/run/secrets/account/token", "/state", "/appendix", "plain"],
                "env": [{"name": "LEVEL", "value": "info"}],
                "volumeMounts": [
                    {"name": "code", "mountPath": "/app"},
                    {"name": "account", "mountPath": "/var/run/secrets/account"},
                    {"name": "state", "mountPath": "/state"},
                ],
            }
        ],
        "volumes": [
            {"name": "code", "configMap": {"name": "keeper-code"}},
            {"name": "account", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"name": "state", "emptyDir": {}},
            {"name": "not-mounted", "nfs": {}},
        ],
    },
    "status": {"phase": "Running"},
}


def pod(**container: Any) -> dict[str, Any]:
    made = copy.deepcopy(POD)
    made["spec"]["containers"][0].update(container)
    return made


def test_paths_below_a_mount_become_paths_of_this_machine() -> None:
    script = script_of(POD)
    assert script is not None
    assert script.command(Path("/lab/volumes")) == [
        "/lab/volumes/code/main.py",
        "--token=/lab/volumes/account/token",
        "/lab/volumes/state",
        "/appendix",
        "plain",
    ]
    assert script.account == "keeper"
    assert script.environment == {"LEVEL": "info"}
    assert set(script.volumes) == {"code", "account", "state"}


@pytest.mark.parametrize(
    "other",
    [
        {"command": ["jupyterhub", "--config", "/app/main.py"]},
        {"command": ["python3"], "args": []},
        {"command": ["python3", "-m", "http.server"]},
        {"command": ["python3", "/srv/part_of_the_image.py"]},
        {"command": ["python3", "/state/not_a_config_map.py"]},
        {"command": [], "args": []},
        {"command": ["/usr/bin/ruby", "/app/main.py"]},
    ],
)
def test_what_is_no_script_of_a_config_map_is_left_to_kwok(other: dict[str, Any]) -> None:
    assert script_of(pod(**other)) is None


def test_only_running_pods_have_a_process() -> None:
    for phase in ("Pending", "Succeeded", "Failed"):
        assert script_of({**POD, "status": {"phase": phase}}) is None
    going = copy.deepcopy(POD)
    going["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    assert script_of(going) is None


def test_jobs_and_pods_of_several_containers_are_left_to_kwok() -> None:
    job = copy.deepcopy(POD)
    job["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "backup"}]
    assert script_of(job) is None
    two = copy.deepcopy(POD)
    two["spec"]["containers"].append({"name": "sidecar"})
    assert script_of(two) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {}}}]}, "KEY"),
        ({"volumeMounts": [{"name": "code", "mountPath": "/app", "subPath": "a"}]}, "code"),
        (
            {
                "volumeMounts": [
                    {"name": "code", "mountPath": "/app"},
                    {"name": "not-mounted", "mountPath": "/x"},
                ]
            },
            "not-mounted",
        ),
    ],
)
def test_a_script_that_needs_more_is_refused_by_name(other: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        script_of(pod(**other))


def test_what_dies_again_and_again_waits_ever_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("lab.kubernetes.restarts.time.monotonic", lambda: now)
    starts = Restarts()
    began = []
    for _ in range(1200):
        if starts.may_start("one"):
            began.append(now)
        now += 0.1
    gaps = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert [round(gap) for gap in gaps] == [1, 3, 7, 15, 30, 30, 30]
    assert starts.may_start("another")
    now += restarts.FORGIVEN_SECONDS
    assert starts.may_start("one")
    now += 1.0
    assert starts.may_start("one")


def test_the_user_scheduler_packs_and_the_default_one_is_as_kubernetes_makes_it() -> None:
    told = yaml.safe_load(scheduler_profiles.configuration(Path("/lab/scheduler.kubeconfig")))
    assert told["clientConnection"]["kubeconfig"] == "/lab/scheduler.kubeconfig"
    own, user = told["profiles"]
    assert own == {"schedulerName": "default-scheduler"}
    assert user["schedulerName"] == "jupyterhub-user-scheduler"
    assert user["pluginConfig"][0]["args"]["scoringStrategy"]["type"] == "MostAllocated"
    enabled = {plugin["name"]: plugin["weight"] for plugin in user["plugins"]["score"]["enabled"]}
    assert enabled.keys() <= {plugin["name"] for plugin in user["plugins"]["score"]["disabled"]}
