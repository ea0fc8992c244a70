"""A kubelet that runs the Python scripts of Jobs, on a node whose volumes are folders of this machine.

The lab's own nodes complete a Job's pod without running anything. Here the script runs for real, with the
pod's arguments, variables and files, as far as they are of the kinds that `Kubelet` knows. All other pods of
the node are said to run.
"""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from lab import processes
from tests.lab.conformance.cluster import Cluster

LOOK_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0
REPORT = "/dev/termination-log"


class Kubelet:
    """One node.

    Attributes:
        ran: what it ran, in order: the arguments behind the script, and the names of all other pods then.
        held: no Job's pod with this word among its arguments is begun; None holds none.
    """

    def __init__(self, cluster: Cluster, folder: Path, node: str, labels: dict[str, str]) -> None:
        self.ran: list[tuple[list[str], set[str]]] = []
        self.held: str | None = None
        self.folder = folder
        self._core = cluster.core
        self._api: Any = cluster.core.api_client
        self._node = node
        self._ends = threading.Event()
        size = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        self._core.create_node(
            {
                "metadata": {"name": node, "labels": labels},
                "status": {"allocatable": size, "capacity": size, "conditions": [_condition("Ready")]},
            }
        )

    def claim(self, name: str) -> Path:
        """The folder that stands for a claim's volume."""
        made = self.folder / "claims" / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def keep(self) -> None:
        """Does a kubelet's work until `end`."""
        last_beat = 0.0
        while not self._ends.wait(LOOK_SECONDS):
            now = datetime.datetime.now(datetime.UTC).timestamp()
            if now - last_beat > HEARTBEAT_SECONDS:
                self._core.patch_node_status(self._node, {"status": {"conditions": [_condition("Ready")]}})
                last_beat = now
            for pod in self._pods():
                with contextlib.suppress(ApiException):  # it may be gone meanwhile
                    self._keep_pod(pod)

    def end(self) -> None:
        """Ends `keep`."""
        self._ends.set()

    def _pods(self) -> list[dict[str, Any]]:
        found = self._core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={self._node}")
        items: list[dict[str, Any]] = self._api.sanitize_for_serialization(found)["items"]
        return items

    def _keep_pod(self, pod: dict[str, Any]) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if "deletionTimestamp" in pod["metadata"]:
            self._core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        elif pod["status"]["phase"] == "Pending":
            owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}
            if "Job" not in owners:
                self._say(pod, "Running", {"running": {"startedAt": _now()}})
            elif self.held not in pod["spec"]["containers"][0]["args"]:
                status, message = self._run(pod)
                ended = {"exitCode": status, "message": message, "finishedAt": _now(), "startedAt": _now()}
                self._say(pod, "Failed" if status else "Succeeded", {"terminated": ended})

    def _run(self, pod: dict[str, Any]) -> tuple[int, str]:
        (container,) = pod["spec"]["containers"]
        volumes = {volume["name"]: self._volume(pod, volume) for volume in pod["spec"]["volumes"]}
        report = self.folder / f"report-{pod['metadata']['uid']}"
        paths = {mount["mountPath"]: str(volumes[mount["name"]]) for mount in container["volumeMounts"]}
        paths[REPORT] = str(report)
        words = [_here(word, paths) for word in container["args"]]
        environment = {entry["name"]: _here(entry["value"], paths) for entry in container["env"]}
        self.ran.append((container["args"][1:], {other["metadata"]["name"] for other in self._pods()}))
        assert container["command"] == ["python3"]
        done = subprocess.run(
            [sys.executable, "-I", "-S", *words], env=environment, check=False, capture_output=True
        )
        return done.returncode, report.read_text()

    def _volume(self, pod: dict[str, Any], volume: dict[str, Any]) -> Path:
        if "persistentVolumeClaim" in volume:
            return self.claim(volume["persistentVolumeClaim"]["claimName"])
        made = self.folder / "pods" / str(pod["metadata"]["uid"]) / str(volume["name"])
        made.mkdir(parents=True)
        name, namespace = volume["configMap"]["name"], pod["metadata"]["namespace"]
        for file, text in self._core.read_namespaced_config_map(name, namespace).data.items():
            (made / file).write_text(text)
        return made

    def _say(self, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
        is_ready = "running" in state
        container = pod["spec"]["containers"][0]
        self._core.patch_namespaced_pod_status(
            pod["metadata"]["name"],
            pod["metadata"]["namespace"],
            {
                "status": {
                    "phase": phase,
                    "startTime": _now(),
                    "conditions": [_condition("Ready", is_ready), _condition("ContainersReady", is_ready)],
                    "containerStatuses": [
                        {
                            "name": container["name"],
                            "image": container["image"],
                            "imageID": "",
                            "ready": is_ready,
                            "restartCount": 0,
                            "state": state,
                        }
                    ],
                }
            },
        )


@contextlib.contextmanager
def keeping(cluster: Cluster, folder: Path, node: str, labels: dict[str, str]) -> Iterator[Kubelet]:
    """A node with such a kubelet, for the length of the block; nothing else plays kubelet in the cluster."""
    processes.stop(f"{cluster.control_plane.name}-kwok", 5.0)
    kubelet = Kubelet(cluster, folder, node, labels)
    thread = threading.Thread(target=kubelet.keep, name=f"kubelet of {node}")
    thread.start()
    try:
        yield kubelet
    finally:
        kubelet.end()
        thread.join()


def _here(text: str, paths: dict[str, str]) -> str:
    for inside, outside in paths.items():
        if text == inside or text.startswith(f"{inside}/"):
            return outside + text[len(inside) :]
    return text


def _condition(kind: str, is_true: bool = True) -> dict[str, str]:
    now = _now()
    beat = {"lastHeartbeatTime": now, "reason": "KubeletReady"} if kind == "Ready" else {}
    return {"type": kind, "status": str(is_true), "lastTransitionTime": now, **beat}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
