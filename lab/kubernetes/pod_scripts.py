"""Which pods the lab can run for real, and as what: a single container with a Python script of a ConfigMap,
or with an image whose program the lab has built.

Nothing else of a pod's image is here, so nothing else can run; KWOK says of those pods that they do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lab.kubernetes.api import Object

PYTHONS = ("python", "python3")

PROGRAMS = {"cert-manager-controller": "lab-cert-manager"}
"""Programs of the toolchain by the image, without registry and tag, that they stand for."""

CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod has its service account's token, and the cluster's CA."""


class UnsupportedError(Exception):
    """A script that asks for more than the lab's kubelet has; the text says what."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """A script or program to run.

    Attributes:
        program: name of the program in the toolchain; None for Python.
        pod, namespace, uid: of the pod it belongs to.
        account: the pod's service account.
        words: the command line behind the name of the program, with the pod's paths in it.
        environment: the container's own variables.
        mounts: paths in the container to names of volumes.
        volumes: the sources of those volumes, as in a pod's spec.
    """

    program: str | None
    pod: str
    namespace: str
    uid: str
    account: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    volumes: Mapping[str, Mapping[str, Any]]

    def command(self, volumes: Path) -> list[str]:
        """The command line behind the name of the program, with this machine's paths in it.

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
    mounts = {mount["mountPath"]: mount for mount in container.get("volumeMounts", [])}
    sources = {volume["name"]: volume for volume in spec.get("volumes", [])}
    program = PROGRAMS.get(_image_name(container.get("image", "")))
    if program:
        words = [*container.get("command", [])[1:], *container.get("args", [])]
    else:
        name, *words = [*container.get("command", []), *container.get("args", [])] or [""]
        if PurePosixPath(name).name not in PYTHONS or not words:
            return None
        holder = next((mount for path, mount in mounts.items() if _is_below(words[0], path)), None)
        if holder is None or "configMap" not in sources[holder["name"]]:
            return None
    environment = {entry["name"]: _plain(entry, metadata) for entry in container.get("env", [])}
    return Script(
        program=program,
        pod=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        account=spec.get("serviceAccountName", "default"),
        words=tuple(_expanded(word, environment) for word in words),
        environment=environment,
        mounts={path: _whole(mount) for path, mount in mounts.items()},
        volumes={mount["name"]: _known(sources[mount["name"]]) for mount in mounts.values()},
    )


def _is_below(path: str, mount: str) -> bool:
    return PurePosixPath(path).is_relative_to(mount)


def _image_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    """A word with its ``$(VARIABLE)`` put in; an unknown one stays as it is, which is Kubernetes' rule."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), word)


def _plain(entry: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
    if field in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(metadata[field.removeprefix("metadata.")])
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
