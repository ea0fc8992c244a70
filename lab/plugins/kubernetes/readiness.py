"""Is an object of use yet, and if not, why? Answered from the object alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from lab.plugins.provider import PluginError

Object = dict[str, Any]

WAIT_FOR = "pulumi.com/waitFor"
"""The annotation that says when an object is of use: one expression or a JSON list of them."""

_JSON_PATH = re.compile(r"jsonpath=\{?\.?(?P<path>[\w.\[\]-]+)\}?(=(?P<value>.*))?")


class HopelessError(PluginError):
    """The object will not be of use however long one waits."""


def unready(item: Object) -> str | None:
    """Why an object is not of use yet, or None if it is.

    Raises:
        HopelessError: if it never will be.
        PluginError: if its annotation `WAIT_FOR` cannot be read.
    """
    expressions = _annotation(item)
    if expressions:
        return next((reason for wish in expressions if (reason := _unmet(item, wish))), None)
    group = str(item["apiVersion"]).rpartition("/")[0]
    check = _CHECKS.get((group, item["kind"]))
    return check(item) if check else None


def condition(item: Object, kind: str) -> Object:
    """A condition of an object's status; empty if it has none of this type."""
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def _deployment(item: Object) -> str | None:
    progressing = condition(item, "Progressing")
    wanted, status = item["spec"].get("replicas", 1), item.get("status", {})
    if _unobserved(item):
        return "the controller has not seen it yet"
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise HopelessError(str(progressing.get("message")))
    if status.get("updatedReplicas", 0) < wanted:
        return f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the new version"
    if status.get("replicas", 0) > status.get("updatedReplicas", 0):
        return "pods of the old version still run"
    return _count(status.get("availableReplicas", 0), wanted)


def _stateful_set(item: Object) -> str | None:
    wanted, status = item["spec"].get("replicas", 1), item.get("status", {})
    if _unobserved(item):
        return "the controller has not seen it yet"
    if status.get("currentRevision") != status.get("updateRevision"):
        return "pods of the old version still run"
    return _count(status.get("readyReplicas", 0), wanted)


def _daemon_set(item: Object) -> str | None:
    status = item.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    if _unobserved(item):
        return "the controller has not seen it yet"
    if status.get("updatedNumberScheduled", 0) < wanted:
        return f"{status.get('updatedNumberScheduled', 0)} of {wanted} pods are of the new version"
    return _count(status.get("numberAvailable", 0), wanted)


def _job(item: Object) -> str | None:
    failed = condition(item, "Failed")
    if failed.get("status") == "True":
        raise HopelessError(f"the job failed: {failed.get('message') or failed.get('reason')}")
    if condition(item, "Complete").get("status") == "True" or item["spec"].get("suspend"):
        return None
    return "the job has not completed"


def _pod(item: Object) -> str | None:
    status = item.get("status", {})
    if status.get("phase") == "Failed":
        raise HopelessError(f"the pod failed: {status.get('message') or status.get('reason') or 'no reason'}")
    if status.get("phase") == "Succeeded" or condition(item, "Ready").get("status") == "True":
        return None
    return pod_trouble(item) or "the pod is not ready"


def _volume(item: Object) -> str | None:
    phase = (item.get("status") or {}).get("phase", "Pending")
    return None if phase in ("Available", "Bound") else f"the volume is {phase}"


def _claim(item: Object) -> str | None:
    phase = (item.get("status") or {}).get("phase", "Pending")
    return None if phase == "Bound" else f"the claim is {phase}"


def _namespace(item: Object) -> str | None:
    phase = (item.get("status") or {}).get("phase", "Active")
    return None if phase == "Active" else f"the namespace is {phase}"


def _definition(item: Object) -> str | None:
    if condition(item, "Established").get("status") == "True":
        return None
    return str(condition(item, "NamesAccepted").get("message") or "the kind is not established")


_CHECKS: dict[tuple[str, str], Callable[[Object], str | None]] = {
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}


def pod_trouble(pod: Object) -> str | None:
    """Why a pod does not run, in Kubernetes' own words, or None if it runs or has done its work."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded" or condition(pod, "Ready").get("status") == "True":
        return None
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return f"{container['name']}: {waiting['reason']} {waiting.get('message', '')}".strip()
        ended = container.get("state", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return f"{container['name']} ended with exit code {ended['exitCode']}"
    unscheduled = condition(pod, "PodScheduled")
    if unscheduled.get("status") == "False":
        return f"{unscheduled.get('reason')}: {unscheduled.get('message')}"
    return f"is {status.get('phase', 'Pending')}"


def _unobserved(item: Object) -> bool:
    seen = (item.get("status") or {}).get("observedGeneration", 0)
    return bool(seen < item["metadata"].get("generation", 0))


def _count(ready: int, wanted: int) -> str | None:
    return None if ready >= wanted else f"{ready} of {wanted} pods are ready"


def _annotation(item: Object) -> list[str]:
    text = (item["metadata"].get("annotations") or {}).get(WAIT_FOR)
    if not text:
        return []
    if text.startswith("["):
        try:
            return [str(wish) for wish in json.loads(text)]
        except ValueError as error:
            raise PluginError(f"The annotation {WAIT_FOR} is no JSON list: {text}") from error
    return [text]


def _unmet(item: Object, wish: str) -> str | None:
    if wish.startswith("condition="):
        kind, _, status = wish.removeprefix("condition=").partition("=")
        found = condition(item, kind)
        if found.get("status", "").lower() == (status or "True").lower():
            return None
        return str(found.get("message") or f"its condition {kind} is {found.get('status', 'not there')}")
    path = _JSON_PATH.fullmatch(wish)
    if not path:
        raise PluginError(
            f"The annotation {WAIT_FOR} says {wish!r}; it must be condition=TYPE, condition=TYPE=STATUS, "
            "jsonpath={.path} or jsonpath={.path}=VALUE."
        )
    value = _at(item, path["path"])
    met = value is not None if path["value"] is None else str(value) == path["value"]
    return None if met else f"{path['path']} is {value!r}"


def _at(item: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(item, list) and part.isdigit() and int(part) < len(item):
            item = item[int(part)]
        else:
            item = item.get(part) if isinstance(item, dict) else None
    return item
