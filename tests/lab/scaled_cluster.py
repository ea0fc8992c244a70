"""A cluster whose node groups grow: the lab's autoscaler decides, nodes come after a delay that a test sets.

No cloud is behind it. Its autoscaler may have a lower bound than the settings promise: a cloud's quota.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from lab.kubernetes import autoscaler, quantities, scheduling
from lab.kubernetes.autoscaler import Group
from tests.lab.cluster_under_test import GROUP_LABEL, wait_for
from tests.lab.conformance import cluster as clusters
from tests.lab.conformance.cluster import Cluster

NAMESPACE = "jhub"
STORAGE_CLASS = "gateway"
HOMES = 30
LOOK_SECONDS = 0.3


@dataclasses.dataclass(kw_only=True)
class NodeGroup:
    """A node group.

    Attributes:
        maximum: most nodes that the cloud gives.
        allocatable: of each node.
        size: nodes that it has, those on their way included.
        node_delay_s: seconds until a node is there.
    """

    name: str
    maximum: int
    allocatable: Mapping[str, str]
    size: int = 0
    node_delay_s: float = 0.5


class ScaledCluster:
    """A cluster with an autoscaler."""

    def __init__(self, cluster: Cluster, groups: list[NodeGroup]) -> None:
        self.cluster = cluster
        self.groups = {group.name: group for group in groups}
        self.kubeconfig = cluster.kubeconfig
        self._ends = threading.Event()
        self._registered = dict.fromkeys(self.groups, 0)
        self._timers: list[threading.Timer] = []

    def pods(self) -> dict[str, dict[str, Any]]:
        """The users' pods by user name."""
        found = _objects(self.cluster.core.list_namespaced_pod, NAMESPACE)
        return {item["metadata"]["annotations"]["hub.jupyter.org/username"]: item for item in found}

    def node_group(self, pod: Mapping[str, Any]) -> str:
        """The group of the node that a pod runs on."""
        (node,) = [
            n
            for n in _objects(self.cluster.core.list_node)
            if n["metadata"]["name"] == pod["spec"].get("nodeName")
        ]
        return str(node["metadata"]["labels"][GROUP_LABEL])

    def nodes(self, group: str) -> list[str]:
        """The names of a group's nodes."""
        nodes = [node["metadata"] for node in _objects(self.cluster.core.list_node)]
        return [node["name"] for node in nodes if node["labels"].get(GROUP_LABEL) == group]

    def add_node(self, group: NodeGroup) -> None:
        """A node of a group joins."""
        name = f"{group.name}-{uuid.uuid4().hex[:6]}"
        labels = {GROUP_LABEL: group.name, scheduling.HOSTNAME: name}
        size = _offered(group)
        self.cluster.core.create_node(
            {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": size, "capacity": size}}
        )
        self._registered[group.name] += 1

    def run(self) -> None:
        """The autoscaler's loop, until ``stop``."""
        while not self._ends.wait(LOOK_SECONDS):
            self._round()

    def stop(self) -> None:
        """Ends the loop, and lets no more nodes come."""
        self._ends.set()
        for timer in self._timers:
            timer.cancel()

    def _round(self) -> None:
        pods = [
            scheduling.read_pod(item) for item in _objects(self.cluster.core.list_namespaced_pod, NAMESPACE)
        ]
        decided = autoscaler.scale_up(
            [self._group(group) for group in self.groups.values()],
            [_place(node, pods) for node in _objects(self.cluster.core.list_node)],
            pods,
            now=datetime.datetime.now(datetime.UTC),
            delay=0,
        )
        for growth in decided.growths:
            group = self.groups[growth.group.name]
            change = f"{group.name} {group.size}->{growth.size} (max: {group.maximum})"
            for _ in range(growth.size - group.size):
                timer = threading.Timer(group.node_delay_s, self.add_node, [group])
                timer.start()
                self._timers.append(timer)
            group.size = growth.size
            for pod in growth.pods:
                self._tell(pod, "TriggeredScaleUp", f"pod triggered scale-up: [{{{change}}}]")
        for pod, reasons in decided.hopeless:
            self._tell(pod, "NotTriggerScaleUp", f"pod didn't trigger scale-up: {reasons}")

    def _group(self, group: NodeGroup) -> Group:
        return Group(
            uuid=group.name,
            name=group.name,
            size=group.size,
            minimum=1,
            maximum=group.maximum,
            registered=self._registered[group.name],
            labels={GROUP_LABEL: group.name},
            taints=[],
            allocatable=quantities.parse_all(_offered(group)),
        )

    def _tell(self, pod: scheduling.Pod, reason: str, message: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        reference = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
        body = {
            # As the cluster autoscaler does, the same is told once.
            "metadata": {"name": f"{pod.name}.{reason.lower()}.{pod.uid[:8]}", "namespace": pod.namespace},
            "involvedObject": {"apiVersion": "v1", **reference},
            "reason": reason,
            "message": message,
            "type": "Normal",
            "source": {"component": "cluster-autoscaler"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        with contextlib.suppress(ApiException):
            self.cluster.core.create_namespaced_event(pod.namespace, body)


@contextlib.contextmanager
def running(folder: Path, groups: list[NodeGroup]) -> Iterator[ScaledCluster]:
    """A cluster with one node in each group, a namespace for the hub and volumes for homes."""
    with clusters.running(folder) as cluster:
        core = cluster.core
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        wait_for("the namespace's account", lambda: core.list_namespaced_service_account(NAMESPACE).items)
        priority = {"metadata": {"name": "jupyterhub-default-priority"}, "value": 0}
        scheduling_api: Any = client.SchedulingV1Api(core.api_client)
        scheduling_api.create_priority_class(priority)
        for number in range(HOMES):
            core.create_persistent_volume(_volume(number))
        scaled = ScaledCluster(cluster, groups)
        for group in groups:
            scaled.add_node(group)
            group.size = 1
        thread = threading.Thread(target=scaled.run, daemon=True)
        thread.start()
        try:
            yield scaled
        finally:
            scaled.stop()
            thread.join()


def _objects(ask: Callable[..., Any], *about: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(ask(*about, _preload_content=False).data)["items"]
    return items


def _offered(group: NodeGroup) -> dict[str, str]:
    return {**group.allocatable, "pods": "110"}


def _place(node: dict[str, Any], pods: list[scheduling.Pod]) -> scheduling.Place:
    name = node["metadata"]["name"]
    place = scheduling.Place(
        name=name,
        labels=node["metadata"]["labels"],
        taints=[],
        free=quantities.parse_all(node["status"]["allocatable"]),
    )
    for pod in pods:
        if pod.node == name:
            place.add(pod)
    return place


def _volume(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"home-{number}"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": f"/homes/{number}"},
        },
    }
