"""What the lab's pods do: scripts run for real, schedulers choose, placeholders make way."""

from __future__ import annotations

import contextlib
import logging
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kubernetes.client.exceptions import ApiException

from lab import processes
from lab.kubernetes.delays import Delays
from lab.kubernetes.kubelet import Kubelet, stop_all
from lab.kubernetes.scheduler_profiles import USER_SCHEDULERS
from lab.kubernetes.site import Site
from tests.lab.cluster_under_test import wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster

SCRIPT = """
import pathlib, sys, time
account, state = map(pathlib.Path, sys.argv[1:])
(state / "seen").write_text(f"{(account / 'namespace').read_text()} {sys.flags.no_site}")
try:
    import yaml
except ImportError:
    (state / "plain").touch()
while not (state / "stop").exists():
    time.sleep(0.05)
"""
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clusters.running(tmp_path_factory.mktemp("cluster") / "state") as made:
        wait_for("the default account is there", lambda: has_account(made))
        yield made


def has_account(cluster: Cluster) -> bool:
    found = cluster.core.list_namespaced_service_account("default").items
    return "default" in {account.metadata.name for account in found}


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster, told: list[str]) -> Iterator[Kubelet]:
    nothing: Any = None
    site = Site(
        wanted=nothing,
        control_plane=cluster.control_plane,
        cloud=nothing,
        delays=Delays(),
        changed=threading.Event(),
        log=logging.LoggerAdapter(logging.getLogger("test"), {}),
    )
    wait_for("the pods are known", lambda: site.is_synced)
    yield Kubelet(site, told.append)
    stop_all(cluster.control_plane)
    site.stop()


@pytest.fixture(autouse=True)
def no_pods_left(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.core.delete_collection_namespaced_pod("default", grace_period_seconds=0)
    wait_for("no pod is left", lambda: not cluster.core.list_namespaced_pod("default").items)


def make_pod(cluster: Cluster, name: str, *, trial: bool = False, **spec: Any) -> None:
    container = {"name": "main", "image": "example", **spec.pop("container", {})}
    body = {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}
    cluster.core.create_namespaced_pod("default", body, **({"dry_run": "All"} if trial else {}))


def knows_class(cluster: Cluster, name: str) -> bool:
    """Whether the API server admits pods of a priority class: it learns of a new one a moment later."""
    try:
        make_pod(cluster, "trial", trial=True, priorityClassName=name)
    except ApiException:
        return False
    return True


def make_script(cluster: Cluster, name: str, text: str) -> None:
    cluster.core.create_namespaced_config_map(
        "default", {"metadata": {"name": name}, "data": {"main.py": text}}
    )
    make_pod(
        cluster,
        name,
        container={
            "command": ["python3", "/app/main.py", ACCOUNT, "/state"],
            "volumeMounts": [
                {"name": "code", "mountPath": "/app"},
                {"name": "state", "mountPath": "/state"},
            ],
        },
        volumes=[
            {"name": "code", "configMap": {"name": name}},
            {"name": "state", "emptyDir": {}},
        ],
    )


def running(cluster: Cluster, name: str) -> psutil.Process | None:
    for service in processes.known():
        if service.startswith(f"{cluster.control_plane.name}-pod-default-{name}-"):
            return processes.find(service)
    return None


def volume(process: psutil.Process, name: str) -> Path:
    return Path(process.cwd()) / name


def kept_until(kubelet: Kubelet, what: str, look: Any, seconds: float = 15) -> Any:
    def step() -> Any:
        kubelet.keep()
        return look()

    return wait_for(what, step, seconds)


def test_a_script_runs_with_its_pods_account_and_ends_with_its_pod(
    cluster: Cluster, kubelet: Kubelet
) -> None:
    make_script(cluster, "real", SCRIPT)
    process = kept_until(kubelet, "it runs", lambda: running(cluster, "real"))
    state = volume(process, "state")
    wait_for("it has seen its namespace", (state / "seen").exists)
    assert (state / "seen").read_text() == "default 1"
    wait_for("it is as bare as a plain image", (state / "plain").exists)
    [account] = [path.parent for path in state.parent.glob("*/token")]
    assert stat.S_IMODE((account / "token").stat().st_mode) == 0o600
    token = (account / "token").read_text()
    assert token not in " ".join(process.cmdline())
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    path = ("authentication.k8s.io", "v1", "tokenreviews")
    checked = cluster.objects.create_cluster_custom_object(*path, review)["status"]
    assert checked["user"]["username"] == "system:serviceaccount:default:default"

    # A script that ends is started again, as its pod's restart policy wants it.
    (state / "stop").touch()
    wait_for("it has ended", lambda: not process.is_running() or process.status() == "zombie")
    (state / "stop").unlink()
    again = kept_until(kubelet, "it runs again", lambda: running(cluster, "real"))
    assert again.pid != process.pid

    cluster.core.delete_namespaced_pod("real", "default", grace_period_seconds=0)
    kept_until(kubelet, "it is gone", lambda: running(cluster, "real") is None and not state.exists())
    with contextlib.suppress(psutil.NoSuchProcess):
        assert again.status() == "zombie"

    def is_known() -> bool:
        answer = cluster.objects.create_cluster_custom_object(*path, review)["status"]
        return bool(answer.get("authenticated"))

    # The API server remembers for ten seconds whom it has let in.
    wait_for("its token is worth nothing", lambda: not is_known(), 20)


def test_a_pod_without_a_node_has_no_process(cluster: Cluster, kubelet: Kubelet) -> None:
    make_pod(cluster, "waiting", nodeSelector={"no": "such-node"})
    make_script(cluster, "second", SCRIPT)
    kept_until(kubelet, "the other runs", lambda: running(cluster, "second"))
    assert running(cluster, "waiting") is None


def test_what_cannot_be_run_is_told_and_keeps_nobody_else(
    cluster: Cluster, kubelet: Kubelet, told: list[str]
) -> None:
    make_pod(
        cluster,
        "asks-too-much",
        container={
            "command": ["python3", "/app/main.py"],
            "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "volumeMounts": [{"name": "code", "mountPath": "/app"}],
        },
        volumes=[{"name": "code", "configMap": {"name": "real"}}],
    )
    make_script(cluster, "third", SCRIPT)
    kept_until(kubelet, "the other runs", lambda: running(cluster, "third"))
    kept_until(kubelet, "the reason", lambda: any("asks-too-much" in line for line in told))
    assert any("variable NODE is no plain text" in line for line in told)


# The schedulers -----------------------------------------------------------------------------------


def node_of(cluster: Cluster, name: str) -> str | None:
    found: str | None = cluster.core.read_namespaced_pod(name, "default").spec.node_name
    return found


def sized(cpus: str) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpus, "memory": "1Gi"}}}


def placed(cluster: Cluster, name: str, scheduler: str) -> str:
    make_pod(cluster, name, container=sized("500m"), schedulerName=scheduler)
    return str(wait_for(f"{name} has a node", lambda: node_of(cluster, name)))


@pytest.mark.parametrize("scheduler", USER_SCHEDULERS)
def test_the_user_scheduler_fills_one_node_and_the_default_one_spreads(
    cluster: Cluster, scheduler: str
) -> None:
    assert len({placed(cluster, f"packed-{number}", scheduler) for number in range(6)}) == 1
    cluster.core.delete_collection_namespaced_pod("default", grace_period_seconds=0)
    wait_for("no pod is left", lambda: not cluster.core.list_namespaced_pod("default").items)
    assert len({placed(cluster, f"spread-{number}", "default-scheduler") for number in range(6)}) == 2


def test_a_user_takes_the_place_of_a_placeholder_and_never_the_other_way_round(cluster: Cluster) -> None:
    cluster.objects.create_cluster_custom_object(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        {"metadata": {"name": "low"}, "value": -10, "preemptionPolicy": "Never"},
    )
    wait_for("the class is known", lambda: knows_class(cluster, "low"))
    common: dict[str, Any] = {"schedulerName": USER_SCHEDULERS[0], "terminationGracePeriodSeconds": 0}
    for number in range(2):
        make_pod(cluster, f"holder-{number}", container=sized("3900m"), priorityClassName="low", **common)
        wait_for("both have a node", lambda: None not in holders(cluster))
    make_pod(cluster, "user", container=sized("1"), **common)
    wait_for("the user has a node", lambda: node_of(cluster, "user"))
    left = [pod.metadata.name for pod in cluster.core.list_namespaced_pod("default").items]
    assert sorted(name.partition("-")[0] for name in left) == ["holder", "user"]
    make_pod(cluster, "late", container=sized("3900m"), priorityClassName="low", **common)
    wait_for("it is told to wait", lambda: is_unschedulable(cluster, "late"))
    assert node_of(cluster, "user") is not None


def holders(cluster: Cluster) -> list[str | None]:
    return [pod.spec.node_name for pod in cluster.core.list_namespaced_pod("default").items]


def is_unschedulable(cluster: Cluster, name: str) -> bool:
    conditions = cluster.core.read_namespaced_pod(name, "default").status.conditions or []
    return any(one.type == "PodScheduled" and one.reason == "Unschedulable" for one in conditions)
