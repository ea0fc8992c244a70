"""What the operations decide; that a real cluster gives them what they expect is for tests/lab."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from operations import reclaim
from operations.hub_keys import new_keys
from operations.reclaim import ReclaimError, left_behind, retained, wait_until_gone
from tests.unit.settings_files import PROGRAM

SERVICES: list[dict[str, Any]] = [
    {"metadata": {"name": "traefik", "namespace": "ingress"}, "spec": {"type": "LoadBalancer"}},
    {"metadata": {"name": "proxy-public", "namespace": "jhub"}, "spec": {"type": "ClusterIP"}},
    {"metadata": {"name": "headless", "namespace": "jhub"}, "spec": {}},
]
VOLUMES: list[dict[str, Any]] = [
    {
        "metadata": {"name": "pvc-1"},
        "spec": {
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"namespace": "jhub", "name": "hub-db-dir"},
        },
    },
    {"metadata": {"name": "pvc-2"}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}},
]


def looks(*answers: Sequence[str] | Exception) -> Callable[[], Sequence[str]]:
    """Answers one after the other, the last one for ever."""
    rest: Iterator[Sequence[str] | Exception] = iter(answers)

    def look() -> Sequence[str]:
        answer = next(rest, answers[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


def test_only_what_would_be_orphaned_is_waited_for() -> None:
    assert left_behind(SERVICES, VOLUMES) == [
        "load balancer ingress/traefik",
        "volume pvc-1 of jhub/hub-db-dir",
    ]
    assert retained(VOLUMES) == ["pvc-2"]


def test_it_waits_until_all_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    wait_until_gone(looks(["volume pvc-1"], ["volume pvc-1"], []), patience=5, poll=0.01)
    assert capsys.readouterr().out == "Waiting for volume pvc-1\n"


def test_patience_ends_with_names_and_a_cure() -> None:
    with pytest.raises(ReclaimError, match=r"volume pvc-1.*Delete what uses them"):
        wait_until_gone(looks(["volume pvc-1"]), patience=0.05, poll=0.01)


def test_a_short_silence_is_survived() -> None:
    silent = urllib3.exceptions.HTTPError("refused")
    wait_until_gone(looks(silent, ApiException(status=503), []), patience=5, unreachable=5, poll=0.01)


def test_a_long_silence_is_told() -> None:
    silent = urllib3.exceptions.HTTPError("refused")
    with pytest.raises(ReclaimError, match="does not answer"):
        wait_until_gone(looks(silent), patience=5, unreachable=0.05, poll=0.01)


def test_refused_credentials_are_told_at_once() -> None:
    with pytest.raises(ReclaimError, match="refuses our credentials"):
        wait_until_gone(looks(ApiException(status=401)), patience=5, poll=0.01)


def test_without_credentials_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operations.reclaim"],
        cwd=PROGRAM,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "KUBECONFIG_TEXT is empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_kept_is_told_from_the_look_that_found_nothing_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One more question could fail the destroy of a cluster of which nothing is left to wait for."""
    answers = iter(
        [
            client.V1PersistentVolumeList(
                items=[
                    client.V1PersistentVolume(
                        metadata=client.V1ObjectMeta(name="pvc-2"),
                        spec=client.V1PersistentVolumeSpec(persistent_volume_reclaim_policy="Retain"),
                    )
                ]
            )
        ]
    )

    def volumes(*_: object, **__: object) -> client.V1PersistentVolumeList:
        answer = next(answers, None)
        if answer is None:
            raise ApiException(status=503)
        return answer

    def services(*_: object, **__: object) -> client.V1ServiceList:
        return client.V1ServiceList(items=[])

    monkeypatch.setattr(client.CoreV1Api, "list_persistent_volume", volumes)
    monkeypatch.setattr(client.CoreV1Api, "list_service_for_all_namespaces", services)
    context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
    kubeconfig = {
        "current-context": "it",
        "contexts": [context],
        "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "it", "user": {}}],
    }
    monkeypatch.setenv("KUBECONFIG_TEXT", json.dumps(kubeconfig))

    assert reclaim.main() == 0

    assert capsys.readouterr().out == "Kept, as their reclaim policy is Retain: pvc-2\n"


def test_keys_are_long_distinct_and_new_each_time() -> None:
    first, second = new_keys(), new_keys()
    assert json.loads(json.dumps(first)) == first
    values = [*first.values(), *second.values()]
    assert len(set(values)) == 6
    assert all(len(bytes.fromhex(value)) == 32 for value in values)
