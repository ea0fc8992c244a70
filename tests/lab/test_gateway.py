"""The whole gateway, by the real engine against the lab: up, changed as operators change it, and gone.

The tests of this file run in order on one stack; each leaves it as the next one wants it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from openstack.connection import Connection

from lab import paths
from tests.lab.listening import listening_addresses
from tests.lab.owned import Gateway, Owned
from tests.lab.process_watch import ProcessWatch
from tests.lab.secret_search import shown
from tests.lab.stack import ZONE, Stack, dev_settings

NODE_GROUP = "openstack:containerinfra/nodeGroup:NodeGroup"
GROUP_LABEL = "capi.stackhpc.com/node-group"
CLUSTER = "science-test"
CORE_NAMESPACES = {"traefik", "cert-manager", "shared-drive"}
"""All pods in these belong on the core node."""
NODE_GROUPS_API = {"OpenStack-API-Version": "container-infra 1.9"}


@pytest.fixture(scope="module")
def watch() -> ProcessWatch:
    """Watches all processes while the gateway comes up, is changed, and goes."""
    return ProcessWatch()


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What Pulumi said meanwhile."""
    return []


@pytest.fixture(scope="module")
def stack(
    watch: ProcessWatch,
    said: list[str],
    lab_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The gateway, standing. Destroyed at the end even if a test failed, so that a next run starts clean."""
    gateway = Stack("test", tmp_path_factory.mktemp("settings"), lab_environment)
    with watch:
        said.append(gateway.up())
    yield gateway
    gateway.destroy()


@pytest.fixture(scope="module")
def kubectl(stack: Stack, lab_environment: dict[str, str]) -> Callable[..., str]:
    """Runs kubectl in the gateway's cluster; returns what it printed."""

    def run(*arguments: str, given: str | None = None) -> str:
        answer = subprocess.run(
            ["kubectl", "--context", CLUSTER, *arguments],
            env=lab_environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    return run


def nodes(kubectl: Callable[..., str]) -> dict[str, list[str]]:
    """Names of the Ready nodes by node group; the control plane's are left out."""
    found: dict[str, list[str]] = {}
    for node in json.loads(kubectl("get", "nodes", "--output", "json"))["items"]:
        ready = [c["status"] for c in node["status"].get("conditions", []) if c["type"] == "Ready"] == [
            "True"
        ]
        group = node["metadata"]["labels"].get(GROUP_LABEL)
        if group and ready:
            found.setdefault(group, []).append(node["metadata"]["name"])
    return found


def node_groups(cloud: Connection, cluster: str = CLUSTER) -> dict[str, dict[str, Any]]:
    """A cluster's node groups, as Magnum's API shows them."""
    magnum = cloud.container_infrastructure_management
    listed = magnum.get(f"/clusters/{cluster}/nodegroups", headers=NODE_GROUPS_API)
    assert listed.status_code == 200, listed.text
    details = {}
    for group in listed.json()["nodegroups"]:
        answer = magnum.get(f"/clusters/{cluster}/nodegroups/{group['uuid']}", headers=NODE_GROUPS_API)
        details[group["name"]] = answer.json()
    return details


def eventually(check: Callable[[], bool], seconds: float = 180) -> bool:
    """Waits until a check holds; False if it does not within the given seconds."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True


def user_pod(name: str, group: str, cpus: str) -> str:
    """A pod that asks for a node of one group."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "nodeSelector": {GROUP_LABEL: group},
                "containers": [
                    {"name": "notebook", "image": "notebook", "resources": {"requests": {"cpu": cpus}}}
                ],
            },
        }
    )


def test_gateway_stands(stack: Stack, kubectl: Callable[..., str], cloud: Connection) -> None:
    groups = node_groups(cloud)
    assert set(groups) == {"default-master", "default-worker", "low", "high"}
    assert {name: len(found) for name, found in nodes(kubectl).items()} == {
        "default-worker": 1,
        "low": 1,
        "high": 1,
    }
    pods = json.loads(kubectl("get", "pods", "--namespace", "jhub", "--output", "json"))["items"]
    phases = {pod["metadata"]["labels"].get("component", "?"): pod["status"]["phase"] for pod in pods}
    assert phases["hub"] == phases["proxy"] == "Running"
    core = set(nodes(kubectl)["default-worker"])
    hub_nodes = {
        pod["spec"]["nodeName"]
        for pod in pods
        if pod["metadata"]["labels"].get("component") in ("hub", "proxy", "user-scheduler")
    }
    assert hub_nodes == core
    others = json.loads(kubectl("get", "pods", "--all-namespaces", "--output", "json"))["items"]
    placed = {
        (pod["metadata"]["namespace"], pod["metadata"]["name"]): pod["spec"].get("nodeName")
        for pod in others
        if pod["metadata"]["namespace"] in CORE_NAMESPACES
    }
    assert {namespace for namespace, _ in placed} == CORE_NAMESPACES
    assert {pod: node for pod, node in placed.items() if node not in core} == {}
    # Every Kubernetes node is a server that the project pays for.
    servers = {server.name for server in cloud.compute.servers()}
    assert {name for found in nodes(kubectl).values() for name in found} <= servers


def test_control_plane_listens_on_loopback_only(stack: Stack) -> None:
    assert listening_addresses() == {"127.0.0.1"}


def test_second_preview_is_clean(stack: Stack) -> None:
    result = stack.pulumi("preview", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


def test_preview_after_a_refresh_is_clean(stack: Stack) -> None:
    result = stack.pulumi("preview", "--refresh", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


def secrets_of(kubectl: Callable[..., str]) -> dict[str, str]:
    """Every secret text of the gateway: the hub's keys and password, credentials of cluster and cloud."""
    found: dict[str, str] = {}
    held = json.loads(kubectl("get", "secrets", "--all-namespaces", "--output", "json"))["items"]
    for secret in held:
        for name, value in secret.get("data", {}).items():
            # Helm's own copies, and the chart's whole settings, are mostly no secrets.
            if secret["type"] != "helm.sh/release.v1" and name != "values.yaml":
                found[f"{secret['metadata']['name']}/{name}"] = base64.b64decode(value).decode(
                    errors="replace"
                )
    [hub] = [secret for secret in held if secret["metadata"]["name"] == "hub"]
    settings = yaml.safe_load(base64.b64decode(hub["data"]["values.yaml"]))
    found["the workshop's password"] = settings["hub"]["config"]["DummyAuthenticator"]["password"]
    merged = yaml.safe_load((paths.STATE / "kubeconfig").read_text())
    # The rehearsal's own cluster may stand beside it, and its key prove nothing here.
    [context] = [each["context"] for each in merged["contexts"] if each["name"] == CLUSTER]
    [user] = [each["user"] for each in merged["users"] if each["name"] == context["user"]]
    found["the cluster's key"] = user["client-key-data"]
    clouds = yaml.safe_load(paths.CLOUDS_YAML.read_text())["clouds"]
    found["the cloud's credential"] = clouds["lab"]["auth"]["application_credential_secret"]
    # The last is a script of the settings' start commands: the chart keeps all extra files in a Secret.
    public = ("ca.crt", "tls.crt", "namespace", "start-commands.sh")
    return {name: text for name, text in found.items() if len(text) >= 8 and not name.endswith(public)}


def test_no_secret_shows_anywhere(
    stack: Stack, kubectl: Callable[..., str], watch: ProcessWatch, said: list[str]
) -> None:
    """In the state, the outputs, what Pulumi printed, every log of the lab, and every command line."""
    secrets = secrets_of(kubectl)
    assert len(secrets) >= 6
    places = {
        "state": stack.state(),
        "outputs": json.dumps(stack.outputs()),
        "Pulumi's words": "".join(said),
        "command lines": "\n".join(watch.command_lines),
        **{
            f"log {file.name}": file.read_text(errors="replace")
            for file in paths.LOG.rglob("*")
            if file.is_file()
        },
    }
    assert "pulumi" in places["command lines"]
    assert shown(secrets, places) == []
    assert "PRIVATE KEY" not in places["state"] + places["outputs"]
    assert (paths.STATE / "kubeconfig").stat().st_mode & 0o077 == 0


def test_another_image_changes_the_hub_alone(stack: Stack) -> None:
    settings = dev_settings()
    settings["config"]["gateway:hub"]["image"]["tag"] = "20260101"
    stack.write(settings)
    assert stack.planned() == [("update", "kubernetes:helm.sh/v3:Release", "hub-release")]
    stack.write(dev_settings())


def test_pool_maximum_changes_one_resource_in_place(
    stack: Stack, cloud: Connection, watch: ProcessWatch, said: list[str]
) -> None:
    before = node_groups(cloud)["low"]
    settings = dev_settings()
    settings["config"]["gateway:pools"]["low"]["max"] = 6
    stack.write(settings)

    # The hub is told too: it counts how many servers there may be.
    assert sorted(stack.planned()) == [
        ("update", "kubernetes:helm.sh/v3:Release", "hub-release"),
        ("update", NODE_GROUP, "pools-low"),
    ]
    with watch:
        said.append(stack.up())

    after = node_groups(cloud)["low"]
    assert after["uuid"] == before["uuid"]
    assert (before["max_node_count"], after["max_node_count"]) == (4, 6)


def test_new_pool_creates_one_resource(stack: Stack, cloud: Connection, kubectl: Callable[..., str]) -> None:
    settings = dev_settings()
    settings["config"]["gateway:pools"]["low"]["max"] = 6
    settings["config"]["gateway:pools"]["extra"] = {"flavor": "m3.small", "min": 1, "max": 2}
    stack.write(settings)

    [(operation, kind, name)] = stack.planned()
    assert (operation, kind) == ("create", NODE_GROUP)
    assert name.endswith("extra")
    stack.up()

    assert len(nodes(kubectl)["extra"]) == 1


def test_flavor_change_replaces_one_group_and_never_the_cluster(
    stack: Stack, cloud: Connection, kubectl: Callable[..., str]
) -> None:
    before = node_groups(cloud)
    settings = dev_settings()
    settings["config"]["gateway:pools"]["low"]["max"] = 6
    settings["config"]["gateway:pools"]["extra"] = {"flavor": "m3.quad", "min": 1, "max": 2}
    stack.write(settings)

    planned = stack.planned()
    assert {(kind, name.rpartition("-")[2]) for _, kind, name in planned} == {(NODE_GROUP, "extra")}
    assert "replace" in {operation for operation, _, _ in planned}
    stack.up()

    after = node_groups(cloud)
    assert after["extra"]["flavor_id"] == "m3.quad"
    unchanged = {name: group["uuid"] for name, group in before.items() if name != "extra"}
    assert {name: after[name]["uuid"] for name in unchanged} == unchanged
    assert eventually(lambda: len(nodes(kubectl).get("extra", [])) == 1)


def test_removed_pool_deletes_one_resource(stack: Stack, cloud: Connection) -> None:
    stack.write(dev_settings())
    planned = stack.planned()
    assert {(operation, name) for operation, _, name in planned} == {
        ("delete", "pools-extra"),
        ("update", "pools-low"),
        ("update", "hub-release"),
    }
    stack.up()
    assert set(node_groups(cloud)) == {"default-master", "default-worker", "low", "high"}


def test_pod_without_room_gets_a_node_and_beyond_the_bound_waits_with_the_reason(
    stack: Stack, kubectl: Callable[..., str], cloud: Connection
) -> None:
    """The dev stack's high pool has 1 to 2 nodes of 8 vCPUs; each of these pods needs most of one."""
    for name in ("first", "second", "third"):
        kubectl("apply", "--filename", "-", given=user_pod(name, "high", "6"))

    def running() -> set[str]:
        pods = json.loads(kubectl("get", "pods", "--namespace", "default", "--output", "json"))["items"]
        return {pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"}

    def reasons(pod: str) -> str:
        events = json.loads(kubectl("get", "events", "--namespace", "default", "--output", "json"))["items"]
        return "\n".join(
            f"{event['reason']}: {event['message']}"
            for event in events
            if event["involvedObject"]["name"] == pod
        )

    assert eventually(lambda: len(running()) == 2)
    assert len(nodes(kubectl)["high"]) == 2
    # Jetstream2's autoscaler does not tell Magnum; a refresh must therefore plan nothing.
    assert node_groups(cloud)["high"]["node_count"] == 1
    [waiting] = {"first", "second", "third"} - running()
    assert eventually(lambda: "max node group size reached" in reasons(waiting))
    assert "NotTriggerScaleUp: pod didn't trigger scale-up" in reasons(waiting)
    assert stack.planned() == []

    kubectl("delete", "pod", "first", "second", "third", "--namespace", "default")
    assert eventually(lambda: len(nodes(kubectl)["high"]) == 1)


def test_destroy_leaves_nothing_in_the_project_and_the_lab_up(
    stack: Stack,
    cloud: Connection,
    lab_environment: dict[str, str],
    *,
    kubectl: Callable[..., str],
    watch: ProcessWatch,
    said: list[str],
) -> None:
    gateway = Gateway.standing(cloud, CLUSTER, f"{stack.name}.{ZONE}")
    standing = gateway.owned(cloud)
    assert {kind for kind, ids in standing.items() if not ids} <= {"security groups"}

    secrets = secrets_of(kubectl)
    with watch:
        said.append(stack.destroy())

    words = {"Pulumi's words": "".join(said), "command lines": "\n".join(watch.command_lines)}
    assert shown(secrets, words) == [], "none while the gateway was changed, and none as it went"
    nothing: Owned = {kind: set() for kind in standing}
    assert eventually(lambda: gateway.owned(cloud) == nothing), gateway.owned(cloud)
    status = subprocess.run(
        ["python", "-m", "lab", "status", "--json"],
        env=lab_environment,
        cwd=paths.PROGRAM,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(status.stdout)["up"]
