"""The chart that stands in for the real one: what it makes of the program's values."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import paths
from tests.unit.settings_files import GOOD, PROGRAM
from tests.unit.test_hub_values import FILES, settings_of, values_of

CHART = PROGRAM / "lab" / "charts" / "jupyterhub"


@pytest.fixture(scope="module")
def helm(lab_up: None) -> str:
    """The lab's helm."""
    return str(paths.BIN / "helm")


def rendered(helm: str, values: dict[str, Any], tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    command = [helm, "template", "jupyterhub", str(CHART), "--namespace", "jhub"]
    done = subprocess.run(
        [*command, "--kube-version", "1.33.1", "--values", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_accepts_all_values_of_the_program(helm: str, path: Path, tmp_path: Path) -> None:
    documents = rendered(helm, values_of(settings_of(path)), tmp_path)
    assert {"Deployment", "PersistentVolumeClaim", "Secret", "NetworkPolicy", "DaemonSet", "Job"} <= {
        document["kind"] for document in documents
    }


def test_two_renderings_of_the_programs_values_are_the_same(helm: str, tmp_path: Path) -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    assert rendered(helm, values, tmp_path) == rendered(helm, values, tmp_path)


def test_the_hubs_volume_follows_the_settings(helm: str, tmp_path: Path) -> None:
    documents = rendered(helm, values_of(settings_of(PROGRAM / "Pulumi.dev.yaml")), tmp_path)
    claim = one(documents, "PersistentVolumeClaim", "hub-db-dir")["spec"]
    assert claim["storageClassName"] == "gateway"
    assert claim["resources"]["requests"]["storage"] == "1Gi"
    assert one(documents, "Deployment", "hub")["spec"]["strategy"] == {"type": "Recreate"}


def test_pods_go_where_the_values_send_them(helm: str, tmp_path: Path) -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    low = {"nodeSelector": {"capi.stackhpc.com/node-group": "low"}}
    values["scheduling"]["userPlaceholder"].update(enabled=True, replicas=2, extraPodSpec=low)
    documents = rendered(helm, values, tmp_path)
    core = {"capi.stackhpc.com/node-group": "default-worker"}
    for kind, name in [
        ("Deployment", "hub"),
        ("Deployment", "proxy"),
        ("Deployment", "user-scheduler"),
        ("Job", "hook-image-awaiter"),
    ]:
        pod = one(documents, kind, name)["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == core
        assert ("hub.jupyter.org/dedicated", "core") in [(t["key"], t["value"]) for t in pod["tolerations"]]
    for name in ("hook-image-puller", "continuous-image-puller"):
        affinity = one(documents, "DaemonSet", name)["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
        assert list(affinity) == ["requiredDuringSchedulingIgnoredDuringExecution"]
    placeholder = one(documents, "StatefulSet", "user-placeholder")["spec"]["template"]["spec"]
    assert placeholder["nodeSelector"] == {"capi.stackhpc.com/node-group": "low"}
    assert placeholder["priorityClassName"] == "jupyterhub-user-placeholder-priority"
    assert placeholder["containers"][0]["resources"]["requests"]["memory"].endswith("Mi")


def test_the_image_is_pulled_before_an_upgrade(helm: str, tmp_path: Path) -> None:
    documents = rendered(helm, values_of(settings_of(PROGRAM / "Pulumi.dev.yaml")), tmp_path)
    puller = one(documents, "DaemonSet", "hook-image-puller")
    assert puller["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    images = [each["image"] for each in puller["spec"]["template"]["spec"]["initContainers"]]
    assert images == ["nsflrose/gateway:20250811"]


def test_an_ingress_only_when_asked(helm: str, tmp_path: Path) -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    assert not [each for each in rendered(helm, values, tmp_path) if each["kind"] == "Ingress"]
    values["ingress"] = {"enabled": True, "ingressClassName": "traefik", "hosts": ["gateway.example.org"]}
    ingress = one(rendered(helm, values, tmp_path), "Ingress", "jupyterhub")
    assert ingress["spec"]["rules"][0]["host"] == "gateway.example.org"


def test_core_pods_may_be_moved(helm: str, tmp_path: Path) -> None:
    documents = rendered(helm, values_of(settings_of(PROGRAM / "Pulumi.dev.yaml")), tmp_path)
    for name in ("hub", "proxy"):
        budget = one(documents, "PodDisruptionBudget", name)["spec"]
        assert (budget["minAvailable"], "maxUnavailable" in budget) == (0, False)
    assert one(documents, "PodDisruptionBudget", "user-scheduler")["spec"]["maxUnavailable"] == 1


def test_files_for_servers_are_in_a_secret(helm: str, tmp_path: Path) -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    files = one(rendered(helm, values, tmp_path), "Secret", "singleuser")["stringData"]
    script = values["singleuser"]["extraFiles"]["start-commands.sh"]["stringData"]
    assert files["start-commands.sh"] == script
    assert json.loads(files["jupyter_server_config.json"])["MappingKernelManager"]["cull_connected"]


def test_all_pods_pull_with_the_registrys_password(helm: str, tmp_path: Path) -> None:
    documents = rendered(helm, values_of(settings_of(GOOD / "image_of_a_private_registry.yaml")), tmp_path)
    secret = one(documents, "Secret", "image-pull-secret")
    text = base64.b64decode(secret["data"][".dockerconfigjson"])
    assert json.loads(text)["auths"]["registry.example.org:5000"]["username"] == "puller"
    pods = [each for each in documents if each["kind"] in ("Deployment", "DaemonSet", "Job")]
    assert len(pods) == 6
    for each in pods:
        assert each["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "image-pull-secret"}]
