"""Which pods the lab can run for real, and as what: a single container with a Python script of a ConfigMap.

Nothing else of a pod's image is here, so nothing else can run; KWOK says of those pods that they do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lab.kubernetes.api import Object

PYTHONS = ("python", "python3")


class UnsupportedError(Exception):
    """A script that asks for more than the lab's kubelet has; the text says what."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """A script to run.

    Attributes:
        pod, namespace, uid: of the pod it belongs to.
        account: the pod's service account.
        words: the command line behind the name of the Python, with the pod's paths in it.
        environment: the container's own variables.
        mounts: paths in the container to names of volumes.
        volumes: the sources of those volumes, as in a pod's spec.
    """

    pod: str
    namespace: str
    uid: str
    account: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    volumes: Mapping[str, Mapping[str, Any]]

    def command(self, volumes: Path) -> list[str]:
        """The command line behind the name of the Python, with this machine's paths in it.

        Args:
            volumes: the folder that holds a folder for each volume.
        """
        return [self._here(word, volumes) for word in self.words]

    def _here(self, word: str, volumes: Path) -> str:
        option, equals, path = word.rpartition("=")
        for mount, volume in self.mounts.items():
            if PurePosixPath(path).is_relative_to(mount):
                return f"{option}{equals}{volumes / volume / PurePosixPath(path).relative_to(mount)}"
        return word


def script_of(pod: Object) -> Script | None:
    """The script of a pod that runs, or None if it has none that could run here.

    A Job's pods are left to KWOK, which completes them at once.

    Raises:
        UnsupportedError: if there is a script, but it needs more than the lab has.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    if pod.get("status", {}).get("phase") != "Running" or "deletionTimestamp" in metadata:
        return None
    if len(spec["containers"]) != 1 or "Job" in {
        owner["kind"] for owner in metadata.get("ownerReferences", [])
    }:
        return None
    container = spec["containers"][0]
    name, *words = [*container.get("command", []), *container.get("args", [])] or [""]
    mounts = {mount["mountPath"]: mount for mount in container.get("volumeMounts", [])}
    sources = {volume["name"]: volume for volume in spec.get("volumes", [])}
    if PurePosixPath(name).name not in PYTHONS or not words:
        return None
    holder = next((mount for path, mount in mounts.items() if _is_below(words[0], path)), None)
    if holder is None or "configMap" not in sources[holder["name"]]:
        return None
    return Script(
        pod=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        account=spec.get("serviceAccountName", "default"),
        words=tuple(words),
        environment={entry["name"]: _plain(entry) for entry in container.get("env", [])},
        mounts={path: _whole(mount) for path, mount in mounts.items()},
        volumes={mount["name"]: _known(sources[mount["name"]]) for mount in mounts.values()},
    )


def _is_below(path: str, mount: str) -> bool:
    return PurePosixPath(path).is_relative_to(mount)


def _plain(entry: Mapping[str, Any]) -> str:
    if "valueFrom" in entry:
        raise UnsupportedError(f"its variable {entry['name']} is no plain text")
    return str(entry.get("value", ""))


def _whole(mount: Mapping[str, Any]) -> str:
    if mount.get("subPath") or mount.get("subPathExpr"):
        raise UnsupportedError(f"it mounts a part of volume {mount['name']}")
    return str(mount["name"])


def _known(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    if not {"configMap", "projected", "emptyDir"} & volume.keys():
        raise UnsupportedError(f"volume {volume['name']} is no ConfigMap, projection or emptyDir")
    return volume
