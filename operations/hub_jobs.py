"""Jobs on the hub's database, as plain objects of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]


def job_from(cron_job: Object, purpose: str, arguments: Sequence[str], *, writes: bool) -> dict[str, Any]:
    """A Job that runs once what a CronJob runs on its schedule, with other arguments.

    Args:
        cron_job: as the API gives it.
        purpose: a part of the Job's name.
        arguments: what follows the script in its pod's command line.
        writes: whether it may change the hub's database. If so it is never tried twice.
    """
    template = cron_job["spec"]["jobTemplate"]
    pod = template["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    mounts = [
        {**mount, "readOnly": False} if writes and mount["name"] == "database" else mount
        for mount in container["volumeMounts"]
    ]
    changed = {**container, "args": [container["args"][0], *arguments], "volumeMounts": mounts}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{cron_job['metadata']['name']}-{purpose}-",
            "labels": template.get("metadata", {}).get("labels", {}),
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            # Goes with the CronJob, so that no pod holds the volumes when the stack is destroyed.
            "ownerReferences": [owner],
        },
        "spec": {
            **template["spec"],
            **({"backoffLimit": 0} if writes else {}),
            "ttlSecondsAfterFinished": 3600,
            "template": {**pod, "spec": {**pod["spec"], "containers": [changed]}},
        },
    }


def outcome(pods: Iterable[Object]) -> str:
    """What the last pod that ended has reported; empty if none did."""
    ended = [
        status["state"]["terminated"]
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if "terminated" in status.get("state", {})
    ]
    if not ended:
        return ""
    return str(max(ended, key=lambda state: str(state.get("finishedAt", ""))).get("message", "")).strip()


def obstacle(pods: Iterable[Object]) -> str:
    """Why pods do not get to work, as the cluster says it; empty if it says nothing."""
    for pod in pods:
        status = pod.get("status", {})
        for part in status.get("containerStatuses", []):
            waiting = part.get("state", {}).get("waiting", {})
            if waiting.get("message"):
                return f"{waiting.get('reason')}: {waiting['message']}"
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", ""))
    return ""
