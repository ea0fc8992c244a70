"""The autoscaler at work: reads the cluster, lets `autoscaler` decide, carries it out, tells the pods."""

from __future__ import annotations

import datetime

from lab.kubernetes import autoscaler, machines, quantities, scheduling
from lab.kubernetes.api import Object
from lab.kubernetes.autoscaler import Candidate, Group
from lab.kubernetes.folders import WantedGroup
from lab.kubernetes.node_objects import GROUP_LABEL, is_ready
from lab.kubernetes.nodes import DELETE_MARK
from lab.kubernetes.scheduling import Place, Pod
from lab.kubernetes.site import Site

SOURCE = "cluster-autoscaler"

PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
)
"""Taints that say something of one node at one time; a new node will not have them."""


class Autoscaler:
    """Scales the autoscaled groups of one cluster."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._empty_since: dict[str, datetime.datetime] = {}

    def scale(self, sizes: dict[str, int]) -> dict[str, int]:
        """One round.

        Args:
            sizes: the groups' sizes by UUID.

        Returns:
            The new sizes. They must be kept before any machine is made or removed.
        """
        scaled = [group for group in self._site.wanted.groups if group.maximum is not None]
        if not scaled:
            return sizes
        pods = [scheduling.read_pod(item) for item in self._site.pods.objects()]
        nodes = self._site.nodes.objects()
        groups = [self._group(group, sizes[group.uuid], nodes, pods) for group in scaled]
        sizes = dict(sizes)
        self._grow(groups, nodes, pods, sizes)
        self._shrink(groups, nodes, pods, sizes)
        return sizes

    def _grow(self, groups: list[Group], nodes: list[Object], pods: list[Pod], sizes: dict[str, int]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        places = [_place(node, pods) for node in nodes if _takes_pods(node)]
        answer = autoscaler.scale_up(groups, places, pods, now=now, delay=self._site.delays.scale_up)
        for growth in answer.growths:
            group = growth.group
            sizes[group.uuid] = growth.size
            change = f"{group.size}->{growth.size} (max: {group.maximum})"
            self._site.log.info("group %s grows %s for %d pods", group.name, change, len(growth.pods))
            name = f"MachineDeployment/{self._site.wanted.name}-{group.name}"
            for pod in growth.pods:
                self._tell(pod, "TriggeredScaleUp", f"pod triggered scale-up: [{{{name} {change}}}]")
        for pod, reasons in answer.hopeless:
            self._tell(pod, "NotTriggerScaleUp", f"pod didn't trigger scale-up: {reasons}")

    def _shrink(
        self, groups: list[Group], nodes: list[Object], pods: list[Pod], sizes: dict[str, int]
    ) -> None:
        candidates = [candidate for group in groups for candidate in _candidates(group, nodes)]
        going, self._empty_since = autoscaler.scale_down(
            groups,
            candidates,
            pods,
            self._empty_since,
            now=datetime.datetime.now(datetime.UTC),
            delay=self._site.delays.scale_down,
        )
        grown = {group.uuid for group in groups if sizes[group.uuid] != group.size}
        for candidate in going:
            # A group that grows in the same round needs all it has.
            if candidate.group not in grown and self._close(candidate.name):
                sizes[candidate.group] -= 1

    def _close(self, name: str) -> bool:
        """Cordons a node and marks it to go, unless a pod has come to it meanwhile."""
        path = f"/api/v1/nodes/{name}"
        node = self._site.api.patch(path, {"spec": {"unschedulable": True}})
        if node is None:
            return False
        items, _ = self._site.api.list("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
        if any(not pod.stays_behind for pod in map(scheduling.read_pod, items)):
            self._site.api.patch(path, {"spec": {"unschedulable": None}})
            return False
        self._site.api.patch(path, {"metadata": {"annotations": {DELETE_MARK: "true"}}})
        message = "marked the node as toBeDeleted/unschedulable"
        self._site.emit({**node, "kind": "Node"}, "ScaleDown", message, source=SOURCE)
        self._site.log.info("node %s has been empty and goes", name)
        return True

    def _group(self, group: WantedGroup, size: int, nodes: list[Object], pods: list[Pod]) -> Group:
        mine = [node for node in nodes if _label(node) == group.name]
        flavor = self._site.cloud.flavor(group.flavor)
        offered = quantities.parse_all(machines.allocatable(flavor))
        labels = {GROUP_LABEL: group.name, "node.kubernetes.io/instance-type": flavor.name}
        taints: list[scheduling.Taint] = []
        example = next((node for node in mine if is_ready(node)), None)
        if example is not None:
            # Like the cluster autoscaler: the next node will be like one that is there, labels and
            # taints that somebody put on it by hand included.
            labels = dict(example["metadata"]["labels"])
            taints = [
                taint
                for taint in example["spec"].get("taints", [])
                if not taint["key"].startswith(PASSING_TAINTS)
            ]
            daemons = [p for p in pods if p.is_daemon and p.node == example["metadata"]["name"]]
            offered = quantities.less(offered, quantities.total(pod.requests for pod in daemons))
        assert group.minimum is not None and group.maximum is not None  # noqa: S101 - only scaled groups
        return Group(
            uuid=group.uuid,
            name=group.name,
            size=size,
            minimum=group.minimum,
            maximum=group.maximum,
            registered=len([node for node in mine if is_ready(node)]),
            labels=labels,
            taints=taints,
            allocatable=offered,
        )

    def _tell(self, pod: Pod, reason: str, message: str) -> None:
        self._site.emit({**pod.source, "kind": "Pod"}, reason, message, source=SOURCE)


def _candidates(group: Group, nodes: list[Object]) -> list[Candidate]:
    mine = [node for node in nodes if _label(node) == group.name]
    # Nodes that were marked and are already off the size are on their way out.
    are_leaving = len(mine) > group.size
    return [
        Candidate(
            name=node["metadata"]["name"],
            group=group.uuid,
            is_kept=node["metadata"].get("annotations", {}).get(autoscaler.KEEP) == "true",
        )
        for node in mine
        if not (are_leaving and DELETE_MARK in node["metadata"].get("annotations", {}))
    ]


def _label(node: Object) -> str:
    return str(node["metadata"].get("labels", {}).get(GROUP_LABEL, ""))


def _takes_pods(node: Object) -> bool:
    return is_ready(node) and not node["spec"].get("unschedulable")


def _place(node: Object, pods: list[Pod]) -> Place:
    name = node["metadata"]["name"]
    place = Place(
        name=name,
        labels=node["metadata"].get("labels", {}),
        taints=node["spec"].get("taints", []),
        free=quantities.parse_all(node["status"].get("allocatable")),
    )
    for pod in pods:
        if pod.node == name and pod.source.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            place.add(pod)
    return place
