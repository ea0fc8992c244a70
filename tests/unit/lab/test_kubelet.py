"""What a pod's process is started with: what its pod has, and nothing of whoever started the lab."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from lab import ports, processes
from lab.kubernetes.kubelet import Kubelet
from lab.kubernetes.pod_scripts import Script
from lab.kubernetes.site import Site

TELL = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(60)"


pytestmark = pytest.mark.usefixtures("own_processes")


def test_a_pod_sees_nothing_of_the_operators_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("OS_PASSWORD", "PULUMI_ACCESS_TOKEN", "GITHUB_TOKEN", "https_proxy", "http_proxy")
    for name in secrets:
        monkeypatch.setenv(name, "http://of-the-operator")
    plane = SimpleNamespace(ports=ports.cluster_ports(3))
    kubelet = Kubelet(cast("Site", SimpleNamespace(control_plane=plane)), print)
    script = Script(
        program=None,
        pod="pod",
        namespace="default",
        uid="12345678",
        account="default",
        words=("-c", TELL),
        environment={"OWN": "of the pod"},
        mounts={},
        volumes={},
    )
    processes.start(kubelet._service("pod", script, tmp_path))
    log = processes.log_file("pod")
    deadline = time.monotonic() + 20
    while not log.read_text().endswith("\n"):
        assert time.monotonic() < deadline, processes.last_lines("pod")
        time.sleep(0.05)

    seen = json.loads(log.read_text())

    assert seen.pop("OWN") == "of the pod"
    assert seen.pop("KUBERNETES_SERVICE_PORT") == "17030"
    assert seen.pop("HTTP_PROXY").startswith("http://12345678@127.0.0.1:")
    assert seen.pop("HOME") == str(tmp_path)
    assert "/usr/bin" in seen.pop("PATH").split(":")
    # Python adds the last one itself where the language is plain C.
    assert set(seen) <= {"KUBERNETES_SERVICE_HOST", "NO_PROXY", "LANG", "LC_CTYPE", processes.MARK}
