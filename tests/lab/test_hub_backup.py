"""The hub's database is copied before upgrades and restored, in a real cluster and by the real engine.

What is real: the API server, the Job and CronJob controllers, the scheduler, the engine, the commands, the
script that copies, and the databases, which JupyterHub's own classes make. What is not: containers. A test's
own kubelet runs the script on this machine, with the pod's files.

The tests build on one another, in their order.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command
import pulumi_kubernetes
import pytest
from kubernetes import client

from components.hub_backup import HubBackup, HubBackupArgs
from lab import paths
from operations import hub_jobs
from tests.lab.cluster_under_test import wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster
from tests.lab.conformance.stacks import RunFailed, Stack
from tests.lab.job_kubelet import Kubelet, keeping
from tests.unit.test_hub_database import add_users, damage, users

pytest_plugins = ["tests.lab.conformance.fixtures"]
pytestmark = pytest.mark.lab

NAMESPACE = "jhub"
PROGRAM = (paths.PROGRAM / "operations" / "hub_database.py").read_text()
CORE = {"capi.stackhpc.com/node-group": "default-worker"}
HUB_LABELS = {"app": "jupyterhub", "component": "hub"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster without pods' kubelets; the storage class makes nothing by itself."""
    folder = tmp_path_factory.mktemp("cluster") / "state"
    with clusters.running(folder) as cluster:
        cluster.core.create_namespace({"metadata": {"name": NAMESPACE}})
        storage: Any = client.StorageV1Api(cluster.core.api_client)
        storage.create_storage_class(
            {
                "metadata": {"name": "gateway"},
                "provisioner": "nobody.example.org",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        yield cluster


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The core node."""
    with keeping(cluster, tmp_path_factory.mktemp("node"), "core", CORE) as kubelet:
        volume(cluster, "hub-backup")
        yield kubelet


@pytest.fixture(scope="module")
def stack(only_stack: Stack) -> Stack:
    """One stack for all tests of this file; the cluster goes without it."""
    return only_stack


@pytest.fixture(scope="module", autouse=True)
def forgotten(only_stack: Stack) -> Iterator[None]:
    """The stack is left empty for other files."""
    yield
    only_stack.forget()


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `openstack coe cluster config` writes one."""
    file = tmp_path_factory.mktemp("config") / "config"
    file.write_text(cluster.kubeconfig)
    return file


def volume(cluster: Cluster, claim: str) -> None:
    """A volume that waits for a claim."""
    cluster.core.create_persistent_volume(
        {
            "metadata": {"name": claim},
            "spec": {
                "capacity": {"storage": "5Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "gateway",
                "claimRef": {"namespace": NAMESPACE, "name": claim},
                "hostPath": {"path": f"/nowhere/{claim}"},
            },
        }
    )


def install_hub(cluster: Cluster) -> None:
    """What the chart makes, as far as a backup is concerned."""
    volume(cluster, "hub-db-dir")
    cluster.core.create_namespaced_persistent_volume_claim(
        NAMESPACE,
        {
            "metadata": {"name": "hub-db-dir"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "gateway",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    )
    cluster.apps.create_namespaced_deployment(
        NAMESPACE,
        {
            "metadata": {"name": "hub"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": HUB_LABELS},
                "template": {
                    "metadata": {"labels": HUB_LABELS},
                    "spec": {"nodeSelector": CORE, "containers": [{"name": "hub", "image": "hub"}]},
                },
            },
        },
    )
    wait_for("the hub runs", lambda: replicas(cluster) == (1, 1))


def replicas(cluster: Cluster) -> tuple[int, int]:
    """How many hubs are wanted, and how many there are."""
    hub = cluster.apps.read_namespaced_deployment("hub", NAMESPACE)
    return hub.spec.replicas, hub.status.available_replicas or 0


def program(cluster: Cluster, chart: str) -> Any:
    """The gateway, as far as a backup is concerned: a copy, and a release that waits for it."""

    def run() -> None:
        providers = [
            pulumi_kubernetes.Provider("cluster", kubeconfig=pulumi.Output.secret(cluster.kubeconfig)),
            pulumi_command.Provider("command"),
        ]
        backup = HubBackup(
            "backup",
            HubBackupArgs(
                namespace=NAMESPACE,
                kubeconfig=pulumi.Output.secret(cluster.kubeconfig),
                program=PROGRAM,
                image="hub:4.4.0",
                schedule="17 3 * * *",
                keep=2,
                size_gib=5,
                storage_class="gateway",
                releases=[chart],
                protect=False,
            ),
            pulumi.ResourceOptions(providers=providers),
        )
        pulumi_command.local.Command(
            "release",
            create=f"echo {chart}",
            opts=pulumi.ResourceOptions(depends_on=[backup.before_upgrade]),
        )

    return run


def command(kubeconfig: Path, *arguments: str) -> list[str]:
    """The operator's command line."""
    return [
        sys.executable,
        "-m",
        "operations.hub_backup",
        *arguments,
        "--kubeconfig",
        str(kubeconfig),
        "--namespace",
        NAMESPACE,
    ]


def operate(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the operator's command."""
    return subprocess.run(
        command(kubeconfig, *arguments),
        cwd=paths.PROGRAM,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def database(kubelet: Kubelet) -> Path:
    return kubelet.claim("hub-db-dir") / "jupyterhub.sqlite"


def copies(kubelet: Kubelet) -> list[str]:
    return sorted(file.name for file in kubelet.claim("hub-backup").iterdir())


def test_before_the_first_installation_nothing_is_copied(
    stack: Stack, cluster: Cluster, kubelet: Kubelet
) -> None:
    run = stack.up(program(cluster, "4.3.3"))
    assert "There is no hub yet, so nothing to back up." in run.output
    assert run.operations["release"] == ["create"]
    assert kubelet.ran == []
    assert stack.preview(program(cluster, "4.3.3")).operations == {}


def test_a_hub_that_has_not_written_yet_stops_no_upgrade(
    stack: Stack, cluster: Cluster, kubelet: Kubelet
) -> None:
    """As after an installation that has failed."""
    install_hub(cluster)
    run = stack.up(program(cluster, "4.3.4"))
    assert "Nothing to back up: the hub has not made" in run.output


def test_an_upgrade_copies_first(stack: Stack, cluster: Cluster, kubelet: Kubelet) -> None:
    add_users(database(kubelet), "ada", "grace")
    run = stack.up(program(cluster, "4.4.0"))
    (name,) = copies(kubelet)
    assert f"{name}: 2 users" in run.output
    assert users(kubelet.claim("hub-backup") / name) == {"ada", "grace"}
    order = [step.name for step in run.steps if step.name in ("backup-before-upgrade", "release")]
    assert order.index("backup-before-upgrade") < order.index("release")


def test_without_an_upgrade_nothing_happens(stack: Stack, cluster: Cluster, kubelet: Kubelet) -> None:
    before = len(kubelet.ran)
    assert stack.up(program(cluster, "4.4.0")).operations == {}
    assert len(kubelet.ran) == before


def test_the_operator_sees_the_copies(kubelet: Kubelet, kubeconfig: Path) -> None:
    done = operate(kubeconfig, "list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(copies(kubelet), reverse=True)
    assert all(line.endswith("2 users") for line in done.stdout.splitlines())


def test_a_damaged_database_stops_the_upgrade(stack: Stack, cluster: Cluster, kubelet: Kubelet) -> None:
    add_users(database(kubelet), "late")
    before = copies(kubelet)
    damage(database(kubelet))
    with pytest.raises(RunFailed) as failed:
        stack.up(program(cluster, "4.5.0"))
    told = str(failed.value)
    assert "The hub is not upgraded, as its database is not backed up." in told
    assert "damaged" in told
    assert stack.resource("release")["outputs"]["stdout"].strip() == "4.4.0"
    assert copies(kubelet) == before


def test_a_restore_that_is_interrupted_leaves_a_hub(
    cluster: Cluster, kubelet: Kubelet, kubeconfig: Path
) -> None:
    before = database(kubelet).read_bytes()
    kubelet.held = "restore"
    process = subprocess.Popen(
        command(kubeconfig, "restore", "--from", "latest", "--yes"),
        cwd=paths.PROGRAM,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("the hub is stopped", lambda: replicas(cluster)[0] == 0)
        wait_for("the Job waits", lambda: pods(cluster, "restore"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert not pods(cluster, "restore")
    finally:
        kubelet.held = None
    assert replicas(cluster) == (1, 1)
    time.sleep(1)
    assert database(kubelet).read_bytes() == before


def test_a_restore_brings_the_users_back(cluster: Cluster, kubelet: Kubelet, kubeconfig: Path) -> None:
    done = operate(kubeconfig, "restore", "--from", "latest", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert users(database(kubelet)) == {"ada", "grace"}
    arguments, others = kubelet.ran[-1]
    assert arguments == ["restore", copies(kubelet)[-1]]
    assert not [name for name in others if name.startswith("hub-") and "backup" not in name], "the hub ran"
    assert replicas(cluster) == (1, 1)
    assert [file.name for file in database(kubelet).parent.glob("*.replaced-*")]
    assert "servers that run go on" in done.stdout


def test_then_the_upgrade_goes_on(stack: Stack, cluster: Cluster, kubelet: Kubelet) -> None:
    stack.up(program(cluster, "4.5.0"))
    assert stack.resource("release")["outputs"]["stdout"].strip() == "4.5.0"


def test_nobody_to_ask_restores_nothing(kubelet: Kubelet, kubeconfig: Path) -> None:
    before = database(kubelet).read_bytes()
    done = subprocess.run(
        command(kubeconfig, "restore", "--from", "latest"),
        cwd=paths.PROGRAM,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, database(kubelet).read_bytes()) == (1, before)
    assert "--yes" in done.stderr


def test_without_a_whole_copy_the_hub_is_not_touched(
    cluster: Cluster, kubelet: Kubelet, kubeconfig: Path
) -> None:
    for name in copies(kubelet):
        damage(kubelet.claim("hub-backup") / name)
    generation = cluster.apps.read_namespaced_deployment("hub", NAMESPACE).metadata.generation
    done = operate(kubeconfig, "restore", "--from", "latest", "--yes")
    assert done.returncode == 1
    assert "There is no whole copy latest" in done.stderr
    assert "damaged" in done.stderr
    assert cluster.apps.read_namespaced_deployment("hub", NAMESPACE).metadata.generation == generation


def test_the_hubs_claim_goes_once_the_jobs_are_removed(cluster: Cluster, kubeconfig: Path) -> None:
    """What holds up the removal of a hub: a Job of last night, which has ended long ago."""
    batch: Any = client.BatchV1Api(cluster.core.api_client)
    api: Any = cluster.core.api_client
    nightly = api.sanitize_for_serialization(batch.read_namespaced_cron_job("hub-backup", NAMESPACE))
    job = hub_jobs.job_from(nightly, "nightly", ["list"], writes=False)
    name = batch.create_namespaced_job(NAMESPACE, job).metadata.name
    wait_for("the Job has ended", lambda: batch.read_namespaced_job_status(name, NAMESPACE).status.succeeded)
    cluster.apps.delete_namespaced_deployment("hub", NAMESPACE)
    wait_for("the hub is gone", lambda: not hub_pods(cluster))
    cluster.core.delete_namespaced_persistent_volume_claim("hub-db-dir", NAMESPACE)
    time.sleep(3)
    assert "hub-db-dir" in claims(cluster), "Kubernetes deletes no claim that a pod names"

    done = operate(kubeconfig, "remove-jobs")
    assert done.returncode == 0, done.stderr
    assert not pods(cluster, "")
    wait_for("the claim is gone", lambda: "hub-db-dir" not in claims(cluster))


def test_credentials_are_in_no_plain_state(stack: Stack, cluster: Cluster) -> None:
    assert "client-key-data" in cluster.kubeconfig
    assert "client-key-data" not in stack.state_file.read_text()


def test_it_leaves_nothing(stack: Stack, cluster: Cluster, kubelet: Kubelet) -> None:
    stack.empty()
    assert "hub-backup" not in claims(cluster)
    wait_for("Jobs and pods are gone", lambda: not pods(cluster, ""))


def pods(cluster: Cluster, purpose: str) -> list[str]:
    """Names of the Jobs' pods."""
    found = cluster.core.list_namespaced_pod(NAMESPACE, label_selector="batch.kubernetes.io/job-name")
    return [pod.metadata.name for pod in found.items if purpose in pod.metadata.name]


def hub_pods(cluster: Cluster) -> list[Any]:
    """The hub's own."""
    return list(cluster.core.list_namespaced_pod(NAMESPACE, label_selector="component=hub").items)


def claims(cluster: Cluster) -> set[str]:
    """Names of the claims to volumes."""
    found = cluster.core.list_namespaced_persistent_volume_claim(NAMESPACE)
    return {claim.metadata.name for claim in found.items}
