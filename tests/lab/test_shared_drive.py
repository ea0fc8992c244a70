"""The shared drive and the claims of users' pods: by the real engine, Cinder, and a real Kubernetes.

The lab's volumes hold no bytes and its pods run nothing, so files are served by `test_nfs_server` instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pulumi_kubernetes
import pulumi_openstack
import pytest
from kubernetes import client
from openstack.connection import Connection

from components.hub_namespace import Claimed, HubNamespace, HubNamespaceArgs
from components.shared_drive import SharedDrive, SharedDriveArgs
from tests.lab.cluster_under_test import wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster
from tests.lab.conformance.stacks import Stack

pytest_plugins = ["tests.lab.conformance.fixtures"]
pytestmark = pytest.mark.lab

VOLUME = "shared-drive-test"
CORE = {"capi.stackhpc.com/node-group": "default-worker"}


@pytest.fixture(scope="module")
def stack_variables(
    tmp_path_factory: pytest.TempPathFactory, lab_environment: dict[str, str]
) -> dict[str, str]:
    """The lab's own environment and plugins, and a state of our own."""
    backend = tmp_path_factory.mktemp("pulumi")
    return {**lab_environment, "KUBECONFIG": "", "PULUMI_BACKEND_URL": f"file://{backend}"}


@pytest.fixture(scope="module")
def only_stack(tmp_path_factory: pytest.TempPathFactory, stack_variables: dict[str, str]) -> Stack:
    """A stack of this file's own."""
    return Stack("drive", tmp_path_factory.mktemp("program"), stack_variables)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a core node, another one, and the gateway's storage class."""
    with clusters.running(tmp_path_factory.mktemp("cluster") / "state") as cluster:
        cluster.core.patch_node("node-a", {"metadata": {"labels": CORE}})
        storage: Any = client.StorageV1Api(cluster.core.api_client)
        storage.create_storage_class(
            {
                "metadata": {"name": "gateway"},
                "provisioner": "cinder.csi.openstack.org",
                "volumeBindingMode": "WaitForFirstConsumer",
                "allowVolumeExpansion": True,
            }
        )
        yield cluster


@pytest.fixture
def cinder(cloud: Connection) -> Iterator[Any]:
    """Cinder; what a test leaves behind is deleted."""
    api: Any = cloud.block_storage
    yield api
    for volume in volumes(api):
        api.delete_volume(volume)


def volumes(cinder: Any) -> list[Any]:
    return [volume for volume in cinder.volumes() if volume.name == VOLUME]


def program(cluster: Cluster, *, size_gib: int = 1, writable: bool = False, retain: bool = False) -> Any:
    """The drive alone."""

    def run() -> None:
        made = SharedDrive(
            "drive",
            SharedDriveArgs(
                volume_name=VOLUME,
                size_gib=size_gib,
                writable=writable,
                storage_class="gateway",
                protect=False,
                retain=retain,
                after=[],
            ),
            providers(cluster),
        )
        pulumi.export("source", made.source)
        pulumi.export("volume_id", made.volume_id)

    return run


def providers(cluster: Cluster) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        providers=[
            pulumi_openstack.Provider("cloud", cloud=os.environ.get("OS_CLOUD", "lab")),
            pulumi_kubernetes.Provider("kubernetes", kubeconfig=pulumi.Output.secret(cluster.kubeconfig)),
        ]
    )


def test_a_drive_is_made_served_grown_and_gone(stack: Stack, cluster: Cluster, cinder: Any) -> None:
    run = stack.up(program(cluster))
    (volume,) = volumes(cinder)
    assert volume.size == 1
    core, name = cluster.core, "shared-drive"
    persistent = core.read_persistent_volume(VOLUME)
    assert persistent.spec.csi.volume_handle == volume.id == run.outputs["volume_id"]
    assert core.read_namespaced_persistent_volume_claim(name, name).status.phase == "Bound"
    service = core.read_namespaced_service(name, name)
    assert run.outputs["source"] == {"nfs": {"server": service.spec.cluster_ip, "path": "/"}}
    (pod,) = core.list_namespaced_pod(name).items
    assert pod.spec.node_name == "node-a"
    assert stack.preview(program(cluster)).operations == {}

    run = stack.up(program(cluster, size_gib=2, writable=True))
    assert set(run.operations) == {"drive", "drive-volume", "drive-claim", "drive-config", "drive-server"}
    assert "replace" not in str([run.operations[each] for each in ("drive-volume", "drive-claim")])
    (grown,) = volumes(cinder)
    assert (grown.id, grown.size) == (volume.id, 2)
    claim = core.read_namespaced_persistent_volume_claim(name, name)
    assert claim.spec.resources.requests["storage"] == "2Gi"
    assert run.outputs["source"]["nfs"]["server"] == service.spec.cluster_ip

    stack.empty()
    assert volumes(cinder) == []
    assert not [one for one in core.list_persistent_volume().items if one.metadata.name == VOLUME]


def test_a_volume_to_be_retained_outlives_the_stack(stack: Stack, cluster: Cluster, cinder: Any) -> None:
    stack.up(program(cluster, retain=True))
    stack.empty()
    assert len(volumes(cinder)) == 1


def test_a_user_who_still_works_does_not_hold_up_the_end(stack: Stack, cluster: Cluster) -> None:
    """By itself a claim is not deleted while a pod uses it; nor is its volume."""

    def run() -> None:
        opts = providers(cluster)
        homes: Any = pulumi_kubernetes.core.v1.PersistentVolume
        made = homes(
            "homes",
            metadata={"name": "homes", "annotations": {"pulumi.com/skipAwait": "true"}},
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "nfs": {"server": "192.0.2.1", "path": "/"},
            },
            opts=opts,
        )
        HubNamespace(
            "hub",
            HubNamespaceArgs(
                namespace="jhub",
                claims={"homes": Claimed(volume=made.metadata["name"], size_gib=1)},
                protect=False,
                after=[],
            ),
            opts,
        )

    stack.up(run)
    core = cluster.core
    assert core.read_namespaced_persistent_volume_claim("homes", "jhub").status.phase == "Bound"
    core.create_namespaced_pod("jhub", user_pod())
    wait_for("the pod runs", _phase(core, "Running"))
    stack.empty()
    assert not [one for one in core.list_persistent_volume().items if one.metadata.name == "homes"]


def user_pod() -> dict[str, Any]:
    """A pod as a user's server has it, as far as its home is concerned."""
    return {
        "metadata": {"name": "jupyter-ada"},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "notebook",
                    "image": "image",
                    "volumeMounts": [{"name": "home", "mountPath": "/home/jovyan", "subPath": "ada"}],
                }
            ],
            "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "homes"}}],
        },
    }


def _phase(core: Any, phase: str) -> Callable[[], bool]:
    return lambda: core.read_namespaced_pod("jupyter-ada", "jhub").status.phase == phase
