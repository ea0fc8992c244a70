"""Would this pod run on that node? The scheduler's rules that the autoscaler has to know, and its words."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from lab.kubernetes import quantities
from lab.kubernetes.quantities import Resources

NOT_MATCHING = "node(s) didn't match Pod's node affinity/selector"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
HOSTNAME = "kubernetes.io/hostname"

Taint = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pod:
    """What matters of a pod.

    Attributes:
        node: the node it runs on or is promised to; empty if none.
        unschedulable_since: when the scheduler first found no node for it; None if it has not said so.
        stays_behind: it does not keep a node from being empty (DaemonSet, mirror, finished).
        spec: the pod's spec, for its selectors and tolerations.
        source: the whole object, for events.
    """

    uid: str
    name: str
    namespace: str
    labels: Mapping[str, str]
    requests: Resources
    node: str
    priority: int
    unschedulable_since: datetime.datetime | None
    stays_behind: bool
    is_daemon: bool
    spec: Mapping[str, Any]
    source: dict[str, Any]


@dataclasses.dataclass(kw_only=True)
class Place:
    """A node, real or imagined, with the pods on it."""

    name: str
    labels: Mapping[str, str]
    taints: list[Taint]
    free: Resources
    pods: list[Pod] = dataclasses.field(default_factory=list)

    def add(self, pod: Pod) -> None:
        """Puts a pod there."""
        self.pods.append(pod)
        self.free = quantities.less(self.free, pod.requests)


def read_pod(item: dict[str, Any]) -> Pod:
    """A pod from the API's object."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    owners = {owner["kind"] for owner in metadata.get("ownerReferences", [])}
    is_mirror = "kubernetes.io/config.mirror" in metadata.get("annotations", {})
    is_done = status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in metadata
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        namespace=metadata["namespace"],
        labels=metadata.get("labels", {}),
        requests=_requests(spec),
        node=spec.get("nodeName") or status.get("nominatedNodeName") or "",
        priority=spec.get("priority", 0),
        unschedulable_since=None if is_done else _unschedulable_since(status),
        stays_behind=is_mirror or is_done or "DaemonSet" in owners,
        is_daemon="DaemonSet" in owners,
        spec=spec,
        source=item,
    )


def why_not(pod: Pod, place: Place) -> str | None:
    """Why the pod would not run there, in the scheduler's words; None if it would.

    Like the scheduler's filters it names only the first reason.
    """
    for taint in place.taints:
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod.spec.get("tolerations", []), taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not _is_selected(pod.spec, place):
        return NOT_MATCHING
    short = quantities.missing(pod.requests, place.free)
    if short:
        return "Too many pods" if short[0] == "pods" else f"Insufficient {short[0]}"
    if any(_repels(pod, other) or _repels(other, pod) for other in place.pods):
        return ANTI_AFFINITY
    return None


def _requests(spec: Mapping[str, Any]) -> Resources:
    def of(container: Mapping[str, Any]) -> Resources:
        return quantities.parse_all(container.get("resources", {}).get("requests"))

    sidecars = [c for c in spec.get("initContainers", []) if c.get("restartPolicy") == "Always"]
    first = [of(c) for c in spec.get("initContainers", []) if c.get("restartPolicy") != "Always"]
    running = quantities.total(of(c) for c in [*spec["containers"], *sidecars])
    needed = quantities.maximum([running, *first])
    return quantities.total(
        [needed, quantities.parse_all(spec.get("overhead")), quantities.parse_all({"pods": 1})]
    )


def _unschedulable_since(status: Mapping[str, Any]) -> datetime.datetime | None:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return datetime.datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def _tolerates(tolerations: Iterable[Mapping[str, Any]], taint: Taint) -> bool:
    for toleration in tolerations:
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        key, operator = toleration.get("key"), toleration.get("operator", "Equal")
        if not key and operator == "Exists":
            return True
        if key == taint["key"] and (
            operator == "Exists" or toleration.get("value", "") == taint.get("value", "")
        ):
            return True
    return False


def _is_selected(spec: Mapping[str, Any], place: Place) -> bool:
    if any(place.labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_meets_term(term, place) for term in required["nodeSelectorTerms"])


def _meets_term(term: Mapping[str, Any], place: Place) -> bool:
    expressions, names = term.get("matchExpressions", []), term.get("matchFields", [])
    if not expressions and not names:
        return False
    fields = {"metadata.name": place.name}
    return all(_meets(expression, place.labels) for expression in expressions) and all(
        _meets(expression, fields) for expression in names
    )


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator: str = expression["operator"]
    values: list[str] = expression.get("values") or []
    value = labels.get(expression["key"])
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (value in values) == (operator == "In")
    try:
        have, limit = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return have > limit if operator == "Gt" else have < limit


def _repels(pod: Pod, other: Pod) -> bool:
    rules = (pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution", []):
        if term["topologyKey"] != HOSTNAME:
            continue
        if other.namespace not in (term.get("namespaces") or [pod.namespace]):
            continue
        selector = term.get("labelSelector") or {}
        wanted = selector.get("matchLabels", {}).items()
        if all(other.labels.get(key) == value for key, value in wanted) and all(
            _meets(expression, other.labels) for expression in selector.get("matchExpressions", [])
        ):
            return True
    return False
