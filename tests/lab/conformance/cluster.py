"""A cluster for tests that need no cloud: a control plane, and nodes that run pods in no time."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from lab.kubernetes import certificates
from lab.kubernetes.control_plane import ControlPlane
from lab.ports import ClusterPorts
from tests.free_ports import free_ports


class Cluster:
    """A cluster, as its administrator sees it."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.control_plane = control_plane
        self.kubeconfig = yaml.safe_dump(control_plane.kubeconfig())
        api = config.new_client_from_config_dict(control_plane.kubeconfig())  # type: ignore[no-untyped-call]
        # The client's own types say that everything might be missing.
        self.core: Any = client.CoreV1Api(api)
        self.apps: Any = client.AppsV1Api(api)
        self.objects: Any = client.CustomObjectsApi(api)

    def add_node(self, name: str) -> None:
        """Adds a node with 4 CPUs and 8 GiB of memory."""
        size = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        self.core.create_node(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                "status": {"allocatable": size, "capacity": size},
            }
        )


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster with two nodes, for the length of the block, in a folder that does not exist yet."""
    (folder / "pki").mkdir(parents=True)
    certificates.make_authority("conformance", folder / "pki" / "ca.crt", folder / "pki" / "ca.key")
    # The names of its processes: other tests may have a cluster at the same time, also in another process.
    control_plane = ControlPlane(name=f"test-{uuid.uuid4().hex[:8]}", directory=folder, ports=_free_ports())
    try:
        control_plane.start()
        cluster = Cluster(control_plane)
        for node in ("node-a", "node-b"):
            cluster.add_node(node)
        yield cluster
    finally:
        control_plane.stop()


def _free_ports() -> ClusterPorts:
    ports = free_ports(5)
    return ClusterPorts(
        apiserver=ports[0],
        etcd_client=ports[1],
        etcd_peer=ports[2],
        controller_manager=ports[3],
        scheduler=ports[4],
    )
