"""What the program relies on in the Kubernetes plugin: Helm releases."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from kubernetes.client.exceptions import ApiException

from lab import paths
from tests.lab.conformance.cluster import Cluster
from tests.lab.conformance.stacks import RunFailed, Stack

pytest_plugins = ["tests.lab.conformance.fixtures"]

pytestmark = pytest.mark.lab

CHART = Path(__file__).parent / "conformance" / "chart"

Program = Callable[[], None]


def release(cluster: Cluster, *, ignore_changes: list[str] | None = None, **arguments: Any) -> Program:
    """A program of one release of the small chart, named ``small`` unless it says otherwise."""

    def run() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig=cluster.kubeconfig)
        wanted = {"chart": str(CHART), "name": "small", "namespace": "default", "timeout": 60, **arguments}
        made = kubernetes.helm.v3.Release(
            "small",
            **{argument: value for argument, value in wanted.items() if value is not None},
            opts=pulumi.ResourceOptions(provider=provider, ignore_changes=ignore_changes),
        )
        pulumi.export("status", made.status)

    return run


def helm(cluster: Cluster, *arguments: str) -> str:
    """What ``helm`` itself says of the cluster."""
    with tempfile.NamedTemporaryFile("w") as kubeconfig:
        kubeconfig.write(cluster.kubeconfig)
        kubeconfig.flush()
        done = subprocess.run(
            [str(paths.BIN / "helm"), *arguments],
            env={**os.environ, "KUBECONFIG": kubeconfig.name},
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout


def releases(cluster: Cluster) -> dict[str, str]:
    """All releases of the default namespace by their status, failed ones too."""
    found = json.loads(helm(cluster, "list", "--all", "--output", "json"))
    return {entry["name"]: entry["status"] for entry in found}


def settings(cluster: Cluster) -> dict[str, str]:
    """The data of the release's ConfigMap."""
    data: dict[str, str] = cluster.core.read_namespaced_config_map("small-settings", "default").data
    return data


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the small chart, to change at will."""
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    return copy


def test_a_release_is_installed_and_described(stack: Stack, cluster: Cluster) -> None:
    program = release(cluster, values={"greeting": "good day"})
    assert stack.preview(program).operations["small"] == ["create"]
    assert stack.up(program).outputs["status"] == {
        "appVersion": "4.5",
        "chart": "small",
        "name": "small",
        "namespace": "default",
        "revision": 1,
        "status": "deployed",
        "version": "1.2.3",
    }
    assert stack.resource("small")["id"] == "default/small"
    outputs = stack.resource("small")["outputs"]
    assert outputs["version"] == "1.2.3"
    assert "small" in outputs["resourceNames"]["Deployment.apps/apps/v1"]
    assert settings(cluster)["greeting"] == "good day"
    assert cluster.core.read_namespaced_config_map("small-hook", "default").data == {"revision": "1"}
    assert stack.preview(program).operations == {}


def test_changed_values_upgrade_in_place(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster, values={"greeting": "one", "list": ["a", "b"]}, max_history=2))
    changed = release(cluster, values={"greeting": "two", "list": ["a", "c"]}, max_history=2)
    run = stack.up(changed)
    assert run.operations == {"small": ["update"]}
    assert run.changes("small")["values.greeting"] == run.changes("small")["values.list[1]"] == "update"
    assert settings(cluster)["greeting"] == "two"
    run = stack.up(release(cluster, values={"list": []}, max_history=2))
    assert run.outputs["status"]["revision"] == 3
    assert (settings(cluster)["greeting"], settings(cluster)["list"]) == ("hello", "[]")
    history = json.loads(helm(cluster, "history", "small", "--output", "json"))
    assert [entry["revision"] for entry in history] == [2, 3]


def test_an_upgrade_without_any_values_keeps_the_last_ones_unless_they_are_reset(
    stack: Stack, cluster: Cluster
) -> None:
    stack.up(release(cluster, values={"greeting": "kept"}))
    stack.up(release(cluster))
    assert settings(cluster)["greeting"] == "kept"
    stack.up(release(cluster, reset_values=True))
    assert settings(cluster)["greeting"] == "hello"


def test_a_changed_template_of_a_local_chart_is_a_change(stack: Stack, cluster: Cluster, chart: Path) -> None:
    stack.up(release(cluster, chart=str(chart)))
    template = chart / "templates" / "all.yaml"
    template.write_text(template.read_text().replace("data:\n  greeting:", "data:\n  added: x\n  greeting:"))
    ignoring = release(cluster, chart=str(chart), ignore_changes=["checksum"])
    assert stack.preview(ignoring).operations == {}
    assert stack.up(release(cluster, chart=str(chart))).changes("small") == {"checksum": "update"}
    assert settings(cluster)["added"] == "x"


def test_another_name_replaces_and_a_made_up_name_stays(stack: Stack, cluster: Cluster) -> None:
    unnamed = release(cluster, name=None)
    stack.up(unnamed)
    made_up = stack.resource("small")["outputs"]["name"]
    assert re.fullmatch(r"small-[0-9a-f]{8}", made_up)
    assert stack.preview(unnamed).operations == {}
    renamed = stack.preview(release(cluster))
    assert renamed.changes("small")["name"] == "update-replace"


def test_values_of_files_come_before_those_of_the_program(
    stack: Stack, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("greeting: from the file\nnested: {changed: from the file}\n")
    files = [pulumi.FileAsset(str(file))]
    stack.up(release(cluster, value_yaml_files=files, values={"nested": {"changed": "from the program"}}))
    assert settings(cluster)["greeting"] == "from the file"
    assert json.loads(settings(cluster)["nested"]) == {"kept": "yes-kept", "changed": "from the program"}


def test_the_namespace_can_be_made(stack: Stack, cluster: Cluster) -> None:
    with pytest.raises(RunFailed, match=r'namespaces "made" not found'):
        stack.up(release(cluster, namespace="made", skip_await=True))
    stack.up(release(cluster, namespace="made", create_namespace=True))
    assert cluster.core.read_namespaced_config_map("small-settings", "made")


def test_secret_values_are_encrypted_in_the_state(stack: Stack, cluster: Cluster) -> None:
    def program() -> None:
        release(
            cluster, values={"password": pulumi.Output.secret("very-secret"), "greeting": "in-the-open"}
        )()

    stack.up(program)
    data = cluster.core.read_namespaced_secret("small-secret", "default").data
    assert base64.b64decode(data["password"]) == b"very-secret"
    stack.refresh()
    state = stack.state_file.read_text()
    assert "very-secret" not in state
    assert "in-the-open" in state
    assert stack.preview(program).operations == {}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """The address of a chart repository that has the small chart."""
    for arguments in (
        ["package", str(CHART), "--destination", str(tmp_path)],
        ["repo", "index", str(tmp_path)],
    ):
        subprocess.run([str(paths.BIN / "helm"), *arguments], check=True, capture_output=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_chart_comes_from_a_repository_in_the_version_that_is_asked_for(
    stack: Stack, cluster: Cluster, repository: str
) -> None:
    source: dict[str, Any] = {"chart": "small", "repository_opts": {"repo": repository}}
    with pytest.raises(RunFailed, match=r"9\.9\.9"):
        stack.preview(release(cluster, version="9.9.9", **source))
    run = stack.up(release(cluster, version="1.2.3", **source))
    assert run.outputs["status"]["version"] == "1.2.3"
    assert stack.preview(release(cluster, version="1.2.3", **source)).operations == {}


# What goes wrong


def test_a_failed_installation_is_recorded_and_mended_by_the_next_update(
    stack: Stack, cluster: Cluster
) -> None:
    with pytest.raises(RunFailed) as failure:
        stack.up(release(cluster, values={"cpu": "1000"}, timeout=3))
    assert "small" in str(failure.value)
    assert releases(cluster) == {"small": "failed"}
    recorded = stack.resource("small")
    assert (recorded["id"], bool(recorded["initErrors"])) == ("default/small", True)

    run = stack.up(release(cluster, values={"cpu": "10m"}))
    assert run.operations == {"small": ["update"]}
    assert (run.outputs["status"]["status"], run.outputs["status"]["revision"]) == ("deployed", 2)
    assert not stack.resource("small").get("initErrors")


def test_a_failed_upgrade_is_recorded_and_mended_by_the_next_update(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster))
    with pytest.raises(RunFailed):
        stack.up(release(cluster, values={"cpu": "1000"}, timeout=3))
    assert releases(cluster) == {"small": "failed"}
    assert stack.resource("small")["initErrors"]
    mended = stack.up(release(cluster, values={"cpu": "10m"}))
    assert mended.outputs["status"]["status"] == "deployed"


def test_an_atomic_installation_that_fails_leaves_nothing(stack: Stack, cluster: Cluster) -> None:
    with pytest.raises(RunFailed):
        stack.up(release(cluster, values={"cpu": "1000"}, timeout=3, atomic=True))
    assert releases(cluster) == {}
    with pytest.raises(KeyError):
        stack.resource("small")


def test_waiting_can_be_skipped(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster, values={"cpu": "1000"}, skip_await=True))
    assert releases(cluster) == {"small": "deployed"}


def test_an_interrupt_ends_the_installation_which_is_recorded(stack: Stack, cluster: Cluster) -> None:
    def begun() -> bool:
        found = cluster.apps.list_namespaced_deployment("default").items
        return any(item.metadata.name == "small" for item in found)

    began = time.monotonic()
    stack.interrupted_up(release(cluster, values={"cpu": "1000"}, timeout=600), begun)
    assert time.monotonic() - began < 60
    assert stack.resource("small")["id"] == "default/small"
    mended = stack.up(release(cluster, values={"cpu": "10m"}))
    assert mended.outputs["status"]["status"] == "deployed"


def test_a_chart_that_is_not_there_is_refused_before_anything_is_touched(
    stack: Stack, cluster: Cluster
) -> None:
    with pytest.raises(RunFailed, match="/nowhere"):
        stack.preview(release(cluster, chart="/nowhere"))


def test_values_that_do_not_render_are_refused_before_anything_is_touched(
    stack: Stack, cluster: Cluster, chart: Path
) -> None:
    (chart / "templates" / "check.yaml").write_text('{{ fail "the greeting is missing" }}')
    with pytest.raises(RunFailed, match="the greeting is missing"):
        stack.preview(release(cluster, chart=str(chart)))


# Drift and the end


def test_a_refresh_finds_values_that_were_changed_by_hand(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster, values={"greeting": "ours"}))
    helm(cluster, "upgrade", "small", str(CHART), "--set", "greeting=theirs")
    stack.refresh()
    wanted = release(cluster, values={"greeting": "ours"})
    assert stack.up(wanted).changes("small")["values.greeting"] == "update"
    assert settings(cluster)["greeting"] == "ours"


def test_a_release_is_uninstalled(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster))
    stack.empty()
    assert releases(cluster) == {}
    with pytest.raises(ApiException, match="404"):
        cluster.apps.read_namespaced_deployment("small", "default")


def test_a_refresh_forgets_a_release_that_is_gone(stack: Stack, cluster: Cluster) -> None:
    stack.up(release(cluster))
    helm(cluster, "uninstall", "small")
    stack.refresh()
    assert stack.up(release(cluster)).operations == {"small": ["create"]}
