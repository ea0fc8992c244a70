"""One running cluster as the keeper's parts see it."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import logging
import threading
import time
from typing import Any

from lab.kubernetes.api import Api, ApiError, Mirror, Object
from lab.kubernetes.cloud import Cloud
from lab.kubernetes.control_plane import ControlPlane
from lab.kubernetes.delays import Delays
from lab.kubernetes.folders import Wanted

EVENT_REPEAT = 10.0
"""Seconds after which the same event counts again: the cluster autoscaler's rhythm."""


@dataclasses.dataclass(kw_only=True)
class Site:
    """A cluster's API server, a copy of its objects, the cloud it runs on, and what is wanted of it."""

    wanted: Wanted
    control_plane: ControlPlane
    cloud: Cloud
    delays: Delays
    changed: threading.Event
    log: logging.LoggerAdapter[logging.Logger]
    api: Api = dataclasses.field(init=False)
    nodes: Mirror = dataclasses.field(init=False)
    pods: Mirror = dataclasses.field(init=False)
    claims: Mirror = dataclasses.field(init=False)
    volumes: Mirror = dataclasses.field(init=False)
    services: Mirror = dataclasses.field(init=False)
    _emitted: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = Api(self.control_plane)
        self.nodes = self._mirror("/api/v1/nodes")
        self.pods = self._mirror("/api/v1/pods")
        self.claims = self._mirror("/api/v1/persistentvolumeclaims")
        self.volumes = self._mirror("/api/v1/persistentvolumes")
        self.services = self._mirror("/api/v1/services")

    def _mirror(self, path: str) -> Mirror:
        return Mirror(self.control_plane, path, self.changed)

    @property
    def is_synced(self) -> bool:
        """Has every collection been read?"""
        return all(mirror.is_synced for mirror in self._mirrors())

    def stop(self) -> None:
        """Ends the watches."""
        for mirror in self._mirrors():
            mirror.stop()
        self.api.close()

    def _mirrors(self) -> list[Mirror]:
        return [self.nodes, self.pods, self.claims, self.volumes, self.services]

    def emit(self, about: Object, reason: str, message: str, *, source: str, warning: bool = False) -> None:
        """Records an event about an object; a repeated one is counted up, at most every ten seconds.

        Args:
            about: the object; ``kind`` and ``apiVersion`` may be missing for pods.
            reason, message: as ``kubectl describe`` shows them.
            source: the component that says so.
            warning: is it a Warning rather than Normal?
        """
        metadata = about["metadata"]
        text = f"{metadata['uid']}{reason}{message}"
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        if time.monotonic() - self._emitted.get(key, float("-inf")) < EVENT_REPEAT:
            return
        self._emitted[key] = time.monotonic()
        namespace = metadata.get("namespace", "default")
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "metadata": {"name": f"{metadata['name']}.{key}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.get("apiVersion", "v1"),
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if warning else "Normal",
            "source": {"component": source},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._record(namespace, event)

    def _record(self, namespace: str, event: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{namespace}/events"
        try:
            before = self.api.get(f"{path}/{event['metadata']['name']}")
            if before is None:
                self.api.create(path, event)
            else:
                again = {"count": before["count"] + 1, "lastTimestamp": event["lastTimestamp"]}
                self.api.patch(f"{path}/{event['metadata']['name']}", again)
        except ApiError as error:
            # The object's namespace may be going; an event is not worth more than a line.
            self.log.warning("event %s not recorded: %s", event["reason"], error)
