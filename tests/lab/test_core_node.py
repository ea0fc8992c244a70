"""The core node's keeper as a process of its own, with its own rights, against a real API server."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from kubernetes.client.exceptions import ApiException

from components.core_node import FULL_NAME, NAMESPACE, CoreNode, CoreNodeArgs
from lab import processes
from lab.ports import HOST
from operations.core_node import GROUP, GROUP_LABEL, LABEL, TAINT
from tests.lab.cluster_under_test import wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster
from tests.unit.recording import run
from tests.unit.settings_files import PROGRAM

SOURCE = PROGRAM / "operations" / "core_node.py"
STRICT = """
import runpy, ssl, sys
made = ssl.create_default_context
def strict(**given):
    context = made(**given)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context
ssl.create_default_context = strict
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program as Python 3.13 would: with certificates of which it asks more by default."""

FOREIGN = {"key": "example.org/other", "effect": "PreferNoSchedule"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster, with the keeper's account and exactly the rights that its component gives it."""
    with clusters.running(tmp_path_factory.mktemp("cluster") / "state") as made:
        wait_for("kube-system is there", lambda: has_namespace(made))
        made.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": FULL_NAME}})
        for kind in ("role", "binding"):
            body = component(f"core-node-{kind}")
            plural = f"cluster{kind}s" if kind == "role" else "clusterrolebindings"
            made.objects.create_cluster_custom_object("rbac.authorization.k8s.io", "v1", plural, body)
        yield made


def has_namespace(cluster: Cluster) -> bool:
    return NAMESPACE in {one.metadata.name for one in cluster.core.list_namespace().items}


def component(name: str) -> dict[str, Any]:
    """An object as the component would have it made."""

    def program() -> None:
        CoreNode(
            "core-node",
            CoreNodeArgs(program="", cluster=pulumi.ComponentResource("test:cluster:Cluster", "cluster")),
        )

    found: dict[str, Any] = run(program).one(name).inputs
    return found


@dataclasses.dataclass(kw_only=True)
class Keeper:
    """The keeper's process, its folder and its output."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()


def start(cluster: Cluster, folder: Path, python: tuple[str, ...] = (sys.executable, "-I", "-S")) -> Keeper:
    """Starts the keeper as its pod would: a token and the CA in a folder, the address in the environment."""
    request = {"spec": {"expirationSeconds": 600}}
    token = cluster.core.create_namespaced_service_account_token(FULL_NAME, NAMESPACE, request).status.token
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(cluster.control_plane.pki("ca.crt").read_bytes())
    environment = {
        **os.environ,
        "KUBERNETES_SERVICE_HOST": HOST,
        "KUBERNETES_SERVICE_PORT": str(cluster.control_plane.ports.apiserver),
    }
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            [*python, str(SOURCE), f"--credentials={folder}", f"--ready={folder / 'ready'}"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Keeper(process=process, folder=folder)


@contextlib.contextmanager
def keeping(cluster: Cluster, folder: Path, **more: Any) -> Iterator[Keeper]:
    """The keeper at work, for the length of the block."""
    keeper = start(cluster, folder, **more)
    try:
        wait_for("the keeper is ready", (folder / "ready").exists, 20)
        yield keeper
    finally:
        keeper.process.kill()
        keeper.process.wait()


@pytest.fixture
def keeper(cluster: Cluster, tmp_path: Path) -> Iterator[Keeper]:
    with keeping(cluster, tmp_path) as found:
        yield found


def add_node(
    cluster: Cluster, name: str, group: str = GROUP, taints: list[dict[str, str]] | None = None
) -> None:
    cluster.core.create_node(
        {
            "metadata": {"name": name, "labels": {GROUP_LABEL: group, "own": "label"}},
            "spec": {"taints": taints or []},
        }
    )


@pytest.fixture(autouse=True)
def no_nodes_left(cluster: Cluster) -> Iterator[None]:
    yield
    for node in cluster.core.list_node(label_selector=GROUP_LABEL).items:
        cluster.core.delete_node(node.metadata.name)


def taints(cluster: Cluster, name: str) -> set[tuple[str, str, str]]:
    found = cluster.core.read_node(name).spec.taints or []
    return {(taint.key, taint.value or "", taint.effect) for taint in found}


OURS = (TAINT["key"], TAINT["value"], TAINT["effect"])


def is_marked(cluster: Cluster, name: str) -> bool:
    labels = cluster.core.read_node(name).metadata.labels
    return labels.get(LABEL) == "core" and OURS in taints(cluster, name)


def test_nodes_that_are_there_are_marked_before_it_says_that_it_is_ready(
    cluster: Cluster, tmp_path: Path
) -> None:
    add_node(cluster, "old-a")
    add_node(cluster, "old-b", taints=[FOREIGN])
    with keeping(cluster, tmp_path):
        assert is_marked(cluster, "old-a")
        assert is_marked(cluster, "old-b")
        assert (FOREIGN["key"], "", FOREIGN["effect"]) in taints(cluster, "old-b")


def test_a_node_that_joins_or_is_replaced_is_marked_within_seconds(cluster: Cluster, keeper: Keeper) -> None:
    for _ in range(2):
        add_node(cluster, "core")
        wait_for("the new node is marked", lambda: is_marked(cluster, "core"), 5)
        cluster.core.delete_node("core")


def test_what_is_taken_off_comes_back_and_what_others_put_on_stays(cluster: Cluster, keeper: Keeper) -> None:
    add_node(cluster, "core")
    wait_for("the new node is marked", lambda: is_marked(cluster, "core"), 5)
    cluster.core.patch_node("core", {"metadata": {"labels": {LABEL: None}}})
    wait_for("the label is back", lambda: is_marked(cluster, "core"), 5)
    cluster.core.patch_node("core", {"spec": {"taints": [FOREIGN]}})
    wait_for("the taint is back", lambda: is_marked(cluster, "core"), 5)
    assert (FOREIGN["key"], "", FOREIGN["effect"]) in taints(cluster, "core")
    assert cluster.core.read_node("core").metadata.labels["own"] == "label"


def test_nodes_of_other_groups_are_left_alone(cluster: Cluster, keeper: Keeper) -> None:
    add_node(cluster, "user", group="low")
    add_node(cluster, "core")
    wait_for("the core node is marked", lambda: is_marked(cluster, "core"), 5)
    assert OURS not in taints(cluster, "user")
    assert LABEL not in cluster.core.read_node("user").metadata.labels


def test_two_of_it_agree(cluster: Cluster, keeper: Keeper, tmp_path_factory: pytest.TempPathFactory) -> None:
    with keeping(cluster, tmp_path_factory.mktemp("second")):
        for number in range(10):
            add_node(cluster, f"core-{number}", taints=[FOREIGN])
        wait_for(
            "all are marked", lambda: all(is_marked(cluster, f"core-{number}") for number in range(10)), 10
        )
    before = {node.metadata.name: node.metadata.resource_version for node in core_nodes(cluster)}
    time.sleep(1)
    after = {node.metadata.name: node.metadata.resource_version for node in core_nodes(cluster)}
    changed = {name for name in before if before[name] != after[name]}
    # A heartbeat may change one; a quarrel would change all of them, again and again.
    assert len(changed) < len(before), changed


def core_nodes(cluster: Cluster) -> list[Any]:
    return list(cluster.core.list_node(label_selector=f"{GROUP_LABEL}={GROUP}").items)


def test_taints_added_at_the_same_moment_are_never_lost(cluster: Cluster, keeper: Keeper) -> None:
    """Both writers replace the whole list; each is bound to the version that it read."""
    add_node(cluster, "core")
    wait_for("the new node is marked", lambda: is_marked(cluster, "core"), 5)
    for number in range(20):
        # Takes our taint off and puts another on, while the keeper puts ours back.
        for others in ([], [{"key": f"example.org/{number}", "effect": "NoExecute"}]):
            replace_taints(cluster, others)
        wait_for("the taint is back", lambda: is_marked(cluster, "core"), 5)
        assert (f"example.org/{number}", "", "NoExecute") in taints(cluster, "core")


def replace_taints(cluster: Cluster, wanted: list[dict[str, str]]) -> None:
    while True:
        version = cluster.core.read_node("core").metadata.resource_version
        try:
            cluster.core.patch_node(
                "core", {"metadata": {"resourceVersion": version}, "spec": {"taints": wanted}}
            )
            return
        except ApiException as error:
            if error.status != 409:
                raise


def test_it_may_not_do_more_than_it_has_to(cluster: Cluster) -> None:
    who = f"system:serviceaccount:{NAMESPACE}:{FULL_NAME}"

    def may(verb: str, resource: str, group: str = "") -> bool:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": who,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {"verb": verb, "resource": resource, "group": group},
            },
        }
        path = ("authorization.k8s.io", "v1", "subjectaccessreviews")
        return bool(cluster.objects.create_cluster_custom_object(*path, body)["status"]["allowed"])

    assert all(may(verb, "nodes") for verb in ("get", "list", "watch", "patch"))
    assert not any(may(verb, "nodes") for verb in ("create", "update", "delete"))
    assert not any(may(verb, "nodes/status") for verb in ("patch", "update"))
    assert not any(
        may("get", resource, group) for resource, group in (("secrets", ""), ("deployments", "apps"))
    )


def test_a_newer_python_trusts_the_clusters_ca_too(cluster: Cluster, tmp_path: Path) -> None:
    """The lab's CAs lack the same identifiers as Magnum's."""
    add_node(cluster, "core")
    with keeping(cluster, tmp_path, python=(sys.executable, "-c", STRICT)):
        assert is_marked(cluster, "core")


def test_a_refusal_is_one_line_and_it_goes_on_once_it_may(cluster: Cluster, tmp_path: Path) -> None:
    path = ("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
    cluster.objects.delete_cluster_custom_object(*path, FULL_NAME)
    keeper = start(cluster, tmp_path)
    try:
        wait_for("it says so", lambda: "answers 403" in keeper.output, 20)
        assert not (tmp_path / "ready").exists()
        cluster.objects.create_cluster_custom_object(*path, component("core-node-binding"))
        add_node(cluster, "core")
        wait_for("the node is marked", lambda: is_marked(cluster, "core"), 40)
        assert "Traceback" not in keeper.output
    finally:
        keeper.process.kill()
        keeper.process.wait()


def test_it_outlives_the_api_server(cluster: Cluster, keeper: Keeper) -> None:
    name = f"{cluster.control_plane.name}-apiserver"
    processes.stop(name)
    wait_for("it notices", lambda: "trouble" in keeper.output, 20)
    cluster.control_plane.start()
    add_node(cluster, "core")
    wait_for("the node is marked", lambda: is_marked(cluster, "core"), 40)
    assert "Traceback" not in keeper.output


def test_it_ends_when_told_and_never_prints_its_token(cluster: Cluster, keeper: Keeper) -> None:
    add_node(cluster, "core")
    wait_for("the new node is marked", lambda: is_marked(cluster, "core"), 5)
    assert "node core is marked" in keeper.output
    keeper.process.send_signal(signal.SIGTERM)
    assert keeper.process.wait(timeout=5) == 0
    assert (keeper.folder / "token").read_text() not in keeper.output
    assert "Traceback" not in keeper.output
