"""Which pods run as programs that the lab has built, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.kubernetes import pod_scripts
from lab.kubernetes.pod_scripts import UnsupportedError, script_of

IMAGE = "quay.io/jetstack/cert-manager-controller:v1.21.2"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def controller(image: str = IMAGE, **container: Any) -> dict[str, Any]:
    """cert-manager's pod, as its chart and the API server make it."""
    own = {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    return {
        "metadata": {"name": "cert-manager-1", "namespace": "cert-manager", "uid": "12345678-9"},
        "spec": {
            "serviceAccountName": "cert-manager",
            "containers": [
                {
                    "image": image,
                    "args": ["--v=2", "--cluster-resource-namespace=$(POD_NAMESPACE)", "--other=$(NONE)"],
                    "env": [own],
                    "volumeMounts": [{"name": "token", "mountPath": TOKEN}],
                    **container,
                }
            ],
            "volumes": [{"name": "token", "projected": {"sources": []}}],
        },
        "status": {"phase": "Running"},
    }


@pytest.mark.parametrize("image", [IMAGE, "cert-manager-controller", f"{IMAGE}@sha256:0123"])
def test_cert_managers_pod_is_the_program_with_its_variables_put_in(image: str) -> None:
    script = script_of(controller(image))
    assert script is not None
    assert script.program == "lab-cert-manager"
    assert script.command(Path("/pods")) == [
        "--v=2",
        "--cluster-resource-namespace=cert-manager",
        "--other=$(NONE)",
    ]
    assert script.mounts[pod_scripts.CREDENTIALS] == "token"


@pytest.mark.parametrize("image", ["quay.io/jetstack/cert-manager-webhook:v1.21.2", "traefik:v3.7.12"])
def test_images_without_a_program_do_not_run(image: str) -> None:
    assert script_of(controller(image)) is None


def test_a_pod_that_does_not_run_yet_has_no_program() -> None:
    pod = controller()
    pod["status"]["phase"] = "Pending"
    assert script_of(pod) is None


def test_a_variable_from_a_secret_is_more_than_the_lab_has() -> None:
    secret = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    with pytest.raises(UnsupportedError, match="KEY"):
        script_of(controller(env=[secret]))
