"""Waiting until an object is of use, or gone, and saying what stands in the way if it takes too long."""

from __future__ import annotations

from typing import Any

from lab.plugins.engine import Engine
from lab.plugins.kubernetes.client import Cluster, Reference
from lab.plugins.kubernetes.readiness import condition, pod_trouble, unready
from lab.plugins.provider import Cancellation, Deadline, TimedOutError

Object = dict[str, Any]

SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"

_DEFAULT_SECONDS = 600.0
_CLAIM_SECONDS = 300.0
_POLL = 0.5

_SKIPS_DELETION = {
    ("", "Namespace"),
    ("", "Pod"),
    ("", "ReplicationController"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("batch", "Job"),
}
"""Kinds for which the published plugin takes skipAwait to mean the deletion too."""

_MOST_PODS = 5


class Waiter:
    """Waits for objects of one cluster."""

    def __init__(self, cluster: Cluster, engine: Engine, cancellation: Cancellation) -> None:
        self._cluster = cluster
        self._engine = engine
        self._cancellation = cancellation

    def until_ready(self, item: Object, reference: Reference, timeout: float, urn: str) -> Object:
        """Waits until an object is of use.

        Args:
            item: the object as it was last seen.
            timeout: seconds; 0 for what its annotation or its kind says.
            urn: the resource to which progress is reported.

        Returns:
            The object as it is then.

        Raises:
            TimedOutError, CancelledError, HopelessError: with the reason, and its pods' troubles.
        """
        deadline = Deadline(self._cancellation, seconds(item, timeout))
        told = ""
        while reason := self.unready(item):
            if deadline.passed:
                raise TimedOutError(
                    f"not ready after {deadline.seconds:.0f} s: {reason}{self._pods(item, reference)}"
                )
            if reason != told:
                self._engine.status(f"waiting: {reason}", urn)
                told = reason
            deadline.pause(_POLL, f"waiting for {reference} ({reason})")
            item = self._cluster.get(reference) or self._gone(reference)
        return item

    def until_gone(self, item: Object, reference: Reference, timeout: float) -> None:
        """Waits until a deleted object is gone; raises like `until_ready`."""
        if _annotated(item, SKIP_AWAIT) == "true" and _group_kind(item) in _SKIPS_DELETION:
            return
        deadline = Deadline(self._cancellation, seconds(item, timeout))
        uid = item["metadata"]["uid"]
        while (found := self._cluster.get(reference)) and found["metadata"]["uid"] == uid:
            if deadline.passed:
                raise TimedOutError(
                    f"{reference} is not gone after {deadline.seconds:.0f} s{_holders(found)}"
                )
            deadline.pause(_POLL, f"waiting for the deletion of {reference}")

    def unready(self, item: Object) -> str | None:
        """Why an object is not of use yet, or None; raises HopelessError if it never will be."""
        if _annotated(item, SKIP_AWAIT) == "true":
            return None
        if _group_kind(item) == ("", "PersistentVolumeClaim") and self._binds_later(item):
            return None
        if _group_kind(item) == ("", "Service"):
            return self._service(item)
        return unready(item)

    def _service(self, item: Object) -> str | None:
        spec = item["spec"]
        if spec.get("type") == "LoadBalancer" and not (
            (item.get("status") or {}).get("loadBalancer") or {}
        ).get("ingress"):
            return "the load balancer has no address"
        # Nobody needs to stand behind a service without a selector or an address of its own.
        if not spec.get("selector") or spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName":
            return None
        about = item["metadata"]
        label = f"kubernetes.io/service-name={about['name']}"
        slices = self._cluster.list("discovery.k8s.io/v1", "EndpointSlice", about["namespace"], label)
        ends = [end for found in slices for end in found.get("endpoints") or []]
        if any((end.get("conditions") or {}).get("ready", True) for end in ends):
            return None
        return "no ready pod stands behind the service"

    def _binds_later(self, item: Object) -> bool:
        name = item["spec"].get("storageClassName")
        if not name:
            return False
        storage = self._cluster.get(
            Reference(api_version="storage.k8s.io/v1", kind="StorageClass", name=name, namespace="")
        )
        return storage is not None and storage.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _pods(self, item: Object, reference: Reference) -> str:
        labels = ((item.get("spec") or {}).get("selector") or {}).get("matchLabels")
        if not labels:
            return ""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        pods = self._cluster.list("v1", "Pod", reference.namespace, selector)
        return pods_text(pods)

    def _gone(self, reference: Reference) -> Object:
        raise TimedOutError(f"{reference} was deleted by somebody else while it was waited for")


def seconds(item: Object, timeout: float) -> float:
    """How long to wait for an object: the program's timeout, its annotation's, or its kind's."""
    if timeout:
        return timeout
    annotated = _annotated(item, TIMEOUT)
    if annotated and annotated.isdigit():
        return float(annotated)
    return _CLAIM_SECONDS if item["kind"] == "PersistentVolumeClaim" else _DEFAULT_SECONDS


def pods_text(pods: list[Object]) -> str:
    """A line for each pod that does not run, saying why; empty if all do."""
    troubles = [(pod["metadata"]["name"], trouble) for pod in pods if (trouble := pod_trouble(pod))]
    lines = [f"\n  pod {name}: {trouble}" for name, trouble in troubles[:_MOST_PODS]]
    if len(troubles) > _MOST_PODS:
        lines.append(f"\n  and {len(troubles) - _MOST_PODS} more")
    return "".join(lines)


def _holders(item: Object) -> str:
    finalizers = [
        *(item["metadata"].get("finalizers") or []),
        *(item.get("spec", {}).get("finalizers") or []),
    ]
    remaining = condition(item, "NamespaceContentRemaining").get("message")
    held = f": held by the finalizers {', '.join(finalizers)}" if finalizers else ""
    return f"{held}; {remaining}" if remaining else held


def _annotated(item: Object, name: str) -> str | None:
    found: str | None = (item["metadata"].get("annotations") or {}).get(name)
    return found


def _group_kind(item: Object) -> tuple[str, str]:
    return str(item["apiVersion"]).rpartition("/")[0], str(item["kind"])
