"""Runs scripts and programs of a cluster's pods: processes of this machine with the pods' own credentials."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab import paths, processes
from lab.errors import LabError
from lab.kubernetes import pod_scripts
from lab.kubernetes.api import ApiError
from lab.kubernetes.control_plane import ControlPlane
from lab.kubernetes.pod_scripts import Script, UnsupportedError
from lab.kubernetes.restarts import Restarts
from lab.kubernetes.site import Site
from lab.ports import HOST, WEB
from lab.private_files import write_private

TOKEN_SECONDS = 3600
RENEWED_AFTER = 0.8
"""Kubelet's rule: a token is renewed when this part of its time is over."""

GRACE_SECONDS = 3.0

POD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What container runtimes give a container whose image names none."""


class Kubelet:
    """Starts, restarts and stops the scripts of one cluster, as its pods come and go.

    A pod's volumes are folders in the cluster's folder; their files are for their owner's eyes only.
    """

    def __init__(self, site: Site, tell: Callable[[str], None]) -> None:
        """Starts nothing yet.

        Args:
            site: the cluster.
            tell: for what cannot be run, and why; may be told again and again.
        """
        self._site = site
        self._tell = tell
        self._restarts = Restarts()

    def keep(self) -> None:
        """One step towards a process for each pod that has a script, and no other."""
        wanted = {self._service_name(script): script for script in self._scripts()}
        plane = self._site.control_plane
        for name in [name for name in _started(plane) if name not in wanted]:
            self._site.log.info("stopping %s: its pod is gone", name)
            processes.stop(name, GRACE_SECONDS)
            shutil.rmtree(_folder(plane, name), ignore_errors=True)
            self._restarts.forget(name)
        for name, script in wanted.items():
            try:
                self._keep_script(name, script)
            except (ApiError, LabError) as error:
                # Of one pod; the others go on.
                self._tell(f"pod {script.namespace}/{script.pod} cannot be run: {error}")

    def _scripts(self) -> list[Script]:
        found = []
        for pod in self._site.pods.objects():
            try:
                script = pod_scripts.script_of(pod)
            except UnsupportedError as error:
                metadata = pod["metadata"]
                self._tell(f"pod {metadata['namespace']}/{metadata['name']} cannot be run: {error}")
            else:
                found += [script] if script else []
        return found

    def _service_name(self, script: Script) -> str:
        return f"{_prefix(self._site.control_plane)}{script.namespace}-{script.pod}-{script.uid[:8]}"

    def _keep_script(self, name: str, script: Script) -> None:
        volumes = _folder(self._site.control_plane, name)
        if processes.find(name) is not None:
            self._write_tokens(script, volumes)
            return
        if not self._restarts.may_start(name):
            return
        for volume, source in script.volumes.items():
            (volumes / volume).mkdir(parents=True, exist_ok=True, mode=0o700)
            for file, text in self._files(script, source).items():
                write_private(volumes / volume / file, text)
        self._write_tokens(script, volumes)
        self._site.log.info("starting %s", name)
        processes.start(self._service(name, script, volumes))

    def _service(self, name: str, script: Script, volumes: Path) -> processes.Service:
        if script.program:
            config = volumes / "kubeconfig"
            write_private(config, yaml.safe_dump(self._kubeconfig(script, volumes)))
            command = [str(paths.BIN / script.program), *script.command(volumes), f"--kubeconfig={config}"]
        else:
            # Isolated, and without this machine's packages: a plain Python image has none of them.
            command = [sys.executable, "-I", "-S", "-u", *script.command(volumes)]
        return processes.Service(
            name=name,
            command=command,
            # Credentials of whoever started the lab are in its own environment.
            has_only_its_environment=True,
            environment={
                "PATH": POD_PATH,
                "HOME": str(volumes),
                "LANG": "C.UTF-8",
                **script.environment,
                "KUBERNETES_SERVICE_HOST": HOST,
                "KUBERNETES_SERVICE_PORT": str(self._site.control_plane.ports.apiserver),
                # Whatever the pod wants of a web server, it gets as this pod: with its own hosts file.
                "HTTP_PROXY": f"http://{script.uid}@{HOST}:{WEB}",
                "NO_PROXY": HOST,
            },
            directory=volumes,
        )

    def _kubeconfig(self, script: Script, volumes: Path) -> dict[str, Any]:
        """For a program that would look for its pod's credentials at a fixed path."""
        here = volumes / script.mounts[pod_scripts.CREDENTIALS]
        cluster = {"server": self._site.control_plane.url, "certificate-authority": str(here / "ca.crt")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": "own", "user": {"tokenFile": str(here / "token")}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
            "current-context": "own",
        }

    # Volumes -----------------------------------------------------------------------------------------

    def _files(self, script: Script, source: Mapping[str, Any]) -> dict[str, str]:
        """The files of a volume, but for tokens."""
        if "configMap" in source:
            return self._config_map(script, source["configMap"])
        files: dict[str, str] = {}
        for part in source.get("projected", {}).get("sources", []):
            if "configMap" in part:
                files.update(self._config_map(script, part["configMap"]))
            for item in part.get("downwardAPI", {}).get("items", []):
                if item.get("fieldRef", {}).get("fieldPath") == "metadata.namespace":
                    files[item["path"]] = script.namespace
        return files

    def _config_map(self, script: Script, source: Mapping[str, Any]) -> dict[str, str]:
        found = self._site.api.get(f"/api/v1/namespaces/{script.namespace}/configmaps/{source['name']}")
        if found is None:
            raise LabError(f"there is no ConfigMap {source['name']}")
        data: dict[str, str] = found.get("data", {})
        if "items" not in source:
            return data
        return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}

    def _write_tokens(self, script: Script, volumes: Path) -> None:
        for volume, source in script.volumes.items():
            for part in source.get("projected", {}).get("sources", []):
                if "serviceAccountToken" in part:
                    file = volumes / volume / part["serviceAccountToken"]["path"]
                    if _age(file) > TOKEN_SECONDS * RENEWED_AFTER:
                        write_private(file, self._token(script))

    def _token(self, script: Script) -> str:
        path = f"/api/v1/namespaces/{script.namespace}/serviceaccounts/{script.account}/token"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": script.pod, "uid": script.uid}
        # Bound to the pod: it is worth nothing once the pod is gone.
        asked = {"spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}}
        return str(self._site.api.create(path, asked)["status"]["token"])


def stop_all(plane: ControlPlane) -> None:
    """Stops every script of a cluster that goes."""
    for name in _started(plane):
        processes.stop(name, GRACE_SECONDS)


def _started(plane: ControlPlane) -> list[str]:
    return [name for name in processes.known() if name.startswith(_prefix(plane))]


def _prefix(plane: ControlPlane) -> str:
    return f"{plane.name}-pod-"


def _folder(plane: ControlPlane, name: str) -> Path:
    return plane.directory / "pods" / name


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
