"""Who runs where: core pods on the core node, forty users on the pools of their profiles, and nobody else's.

The tests of this file run in order on one stack. The users' pods are made by the real KubeSpawner from the
values that the hub was deployed with; nodes are the lab's, and its autoscaler adds and removes them.
"""

from __future__ import annotations

import collections
import copy
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from lab import processes
from operations.core_node import LABEL, TAINT
from tests.lab.cluster_under_test import GROUP_LABEL, wait_for
from tests.lab.kubespawner_pods import UserServer, user_servers
from tests.lab.stack import Settings, Stack, dev_settings

CORE = "default-worker"
CONTEXT = "science-placement"
HUB = "jhub"
POOL_OF = {"low-power": "low", "high-power": "high"}
USERS = {"low-power": 28, "high-power": 12}
BOUNDS = {"low": 7, "high": 4}
GONE = "a node that is gone"
CORE_COMPONENTS = {"hub", "proxy", "user-scheduler"}


def settings() -> Settings:
    """The rehearsal's, with pools that forty users fill to the last place, and a placeholder in each."""
    made = dev_settings()
    config = made["config"]
    config["gateway:pools"] = {
        "low": {"flavor": "m3.quad", "min": 1, "max": BOUNDS["low"]},
        "high": {"flavor": "m3.medium", "min": 1, "max": BOUNDS["high"]},
    }
    for profile in config["gateway:profiles"]:
        pool = POOL_OF[profile["name"]]
        profile["users_per_node"] = USERS[profile["name"]] // BOUNDS[pool]
    config["gateway:hub"]["placeholders_per_pool"] = 1
    # Nobody comes from outside here, so there is no name, certificate or record to wait for.
    for way_in in ("gateway:tls", "gateway:dns"):
        config.pop(way_in, None)
    config["gateway:hub"].pop("host", None)
    config["gateway:storage"].pop("shared_drive", None)
    return made


@pytest.fixture(scope="module")
def stack(lab_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The gateway, standing; destroyed at the end even if a test failed."""
    gateway = Stack("placement", tmp_path_factory.mktemp("settings"), lab_environment)
    gateway.write(settings())
    gateway.up()
    yield gateway
    gateway.destroy()


class Cluster:
    """The gateway's cluster by kubectl and helm."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints."""
        return self._run("kubectl", "--context", CONTEXT, *arguments, given=given)

    def objects(self, *what: str) -> list[dict[str, Any]]:
        """What ``kubectl get`` finds."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", *what, "--output", "json"))["items"]
        return found

    def values(self) -> dict[str, Any]:
        """The values that the hub was deployed with."""
        told = self._run(
            "helm", "--kube-context", CONTEXT, "--namespace", HUB, "get", "values", "jupyterhub", "-o", "json"
        )
        found: dict[str, Any] = json.loads(told)
        return found

    def nodes(self) -> dict[str, list[str]]:
        """Names of the Ready nodes by group; the control plane's are left out."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for node in self.objects("nodes"):
            if GROUP_LABEL in node["metadata"]["labels"] and is_ready(node):
                found[node["metadata"]["labels"][GROUP_LABEL]].append(node["metadata"]["name"])
        return found

    def groups_of_pods(self, *selector: str) -> dict[str, str]:
        """Each pod that runs, with its node's group."""
        group = {name: pool for pool, names in self.nodes().items() for name in names}
        return {
            pod["metadata"]["name"]: group.get(pod["spec"]["nodeName"], GONE)
            for pod in self.objects("pods", "--namespace", HUB, *selector)
            if pod["spec"].get("nodeName") and pod["status"]["phase"] == "Running"
        }

    def _run(self, *command: str, given: str | None = None) -> str:
        answer = subprocess.run(
            command, env=self._environment, input=given, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


def is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def cluster(stack: Stack, lab_environment: dict[str, str]) -> Cluster:
    return Cluster(lab_environment)


USER_PODS = ("--selector", "component=singleuser-server")
KEEPER = ("--selector", "app.kubernetes.io/name=gateway-core-node")
PLACEHOLDERS = ("--selector", "app.kubernetes.io/name=gateway-placeholder")


def core_pods(cluster: Cluster) -> dict[str, dict[str, str]]:
    """The core pods that run, by component, each with its node's group."""
    groups = cluster.groups_of_pods()
    found: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for pod in cluster.objects("pods", "--namespace", HUB):
        component, name = pod["metadata"]["labels"].get("component"), pod["metadata"]["name"]
        if component in CORE_COMPONENTS and name in groups:
            found[component][name] = groups[name]
    return found


def assert_core_pods_are_on_the_core_node(cluster: Cluster) -> None:
    def all_on_known_nodes() -> dict[str, dict[str, str]] | None:
        found = core_pods(cluster)
        groups = {group for pods in found.values() for group in pods.values()}
        return found if found.keys() == CORE_COMPONENTS and GONE not in groups else None

    found = wait_for("all core pods run", all_on_known_nodes, 20)
    assert {group for pods in found.values() for group in pods.values()} == {CORE}


def core_nodes(cluster: Cluster) -> list[dict[str, Any]]:
    return cluster.objects("nodes", "--selector", f"{GROUP_LABEL}={CORE}")


def is_marked(node: dict[str, Any]) -> bool:
    return node["metadata"]["labels"].get(LABEL) == "core" and TAINT in node["spec"].get("taints", [])


def assert_core_nodes_are_marked(cluster: Cluster) -> None:
    wait_for("the core nodes are marked", lambda: all(map(is_marked, core_nodes(cluster))), 20)
    assert core_nodes(cluster)


def servers(cluster: Cluster, users: dict[str, int]) -> list[UserServer]:
    """Users' pods and homes, by the real KubeSpawner from the hub's own values."""
    choices = [
        (f"{profile}-{number}", profile) for profile, count in users.items() for number in range(count)
    ]
    return user_servers(cluster.values(), choices, namespace=HUB)


def create(cluster: Cluster, made: list[UserServer]) -> None:
    items = [item for server in made for item in (server.claim, server.pod) if item]
    for item in items:
        item["metadata"].setdefault("namespace", HUB)
        item.setdefault("apiVersion", "v1")
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    cluster.kubectl("create", "--filename", "-", given=json.dumps(whole))


def sizes(cluster: Cluster) -> dict[str, int]:
    return {group: len(names) for group, names in cluster.nodes().items()}


def test_core_nodes_are_marked_and_carry_the_core_pods(cluster: Cluster) -> None:
    assert_core_nodes_are_marked(cluster)
    assert_core_pods_are_on_the_core_node(cluster)


def test_the_keeper_of_the_core_node_is_a_process_of_the_lab(cluster: Cluster) -> None:
    names = [name for name in processes.known() if "-pod-kube-system-gateway-core-node-" in name]
    assert any(processes.find(name) for name in names)


def test_a_placeholder_holds_a_node_of_each_pool(cluster: Cluster) -> None:
    def pools() -> list[str]:
        return sorted(cluster.groups_of_pods(*PLACEHOLDERS).values())

    wait_for("each pool has its placeholder", lambda: pools() == ["high", "low"])
    assert sizes(cluster) == {CORE: 1, "low": 1, "high": 1}


def test_the_first_user_gets_the_placeholders_place_and_the_pool_grows(cluster: Cluster) -> None:
    [warm] = cluster.nodes()["high"]
    create(cluster, servers(cluster, {"high-power": 1}))
    wait_for("the user runs", lambda: "high" in cluster.groups_of_pods(*USER_PODS).values(), 10)
    [pod] = cluster.objects("pods", "--namespace", HUB, *USER_PODS)
    assert pod["spec"]["nodeName"] == warm
    wait_for("the placeholder has a new node", lambda: sizes(cluster)["high"] == 2, 30)
    cluster.kubectl("delete", "pods", "--namespace", HUB, *USER_PODS, "--wait=true")


def test_forty_users_land_on_the_pools_of_their_profiles(cluster: Cluster) -> None:
    made = servers(cluster, USERS)
    wanted = {
        server.pod["metadata"]["name"]: server.pod["spec"]["nodeSelector"][GROUP_LABEL] for server in made
    }
    assert collections.Counter(wanted.values()) == {
        POOL_OF[profile]: count for profile, count in USERS.items()
    }
    there = {claim["metadata"]["name"] for claim in cluster.objects("pvc", "--namespace", HUB)}
    create(
        cluster,
        [
            UserServer(server.pod, None)
            if server.claim and server.claim["metadata"]["name"] in there
            else server
            for server in made
        ],
    )

    def landed() -> dict[str, str]:
        return cluster.groups_of_pods(*USER_PODS)

    wait_for("all forty run", lambda: len(landed()) == len(wanted) == 40, 300)
    assert landed() == wanted
    assert sizes(cluster) == {CORE: 1, **BOUNDS}
    # All is full, so the placeholders wait; they never cost a user the place.
    assert cluster.groups_of_pods(*PLACEHOLDERS) == {}
    assert_core_pods_are_on_the_core_node(cluster)


def test_one_user_more_waits_and_the_pool_stays_within_its_bound(cluster: Cluster) -> None:
    [one] = user_servers(cluster.values(), [("one-more", "low-power")], namespace=HUB)
    create(cluster, [one])
    name = one.pod["metadata"]["name"]

    def reasons() -> str:
        events = cluster.objects("events", "--namespace", HUB)
        about = [event for event in events if event["involvedObject"]["name"] == name]
        return "\n".join(f"{event['reason']}: {event['message']}" for event in about)

    wait_for("it is told why", lambda: "max node group size reached" in reasons())
    assert "NotTriggerScaleUp" in reasons()
    assert sizes(cluster)["low"] == BOUNDS["low"]


def test_pools_shrink_after_the_users_are_gone(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pods", "--namespace", HUB, *USER_PODS, "--wait=true")
    wait_for("the pools are small again", lambda: sizes(cluster) == {CORE: 1, "low": 1, "high": 1}, 180)
    # What is left is warm again.
    wait_for(
        "the placeholders have places",
        lambda: sorted(cluster.groups_of_pods(*PLACEHOLDERS).values()) == ["high", "low"],
        60,
    )


def test_a_user_never_gets_the_core_node_even_if_asked_for(cluster: Cluster) -> None:
    [server] = user_servers(cluster.values(), [("intruder", "low-power")], namespace=HUB)
    pod = copy.deepcopy(server.pod)
    pod["spec"]["nodeSelector"] = {GROUP_LABEL: CORE}
    pod["spec"].get("affinity", {}).pop("nodeAffinity", None)
    pod["spec"]["volumes"], pod["spec"]["containers"][0]["volumeMounts"] = [], []
    create(cluster, [UserServer(pod, None)])
    name = pod["metadata"]["name"]

    def refusal() -> str:
        [found] = [one for one in cluster.objects("pods", "-n", HUB) if one["metadata"]["name"] == name]
        conditions = found["status"].get("conditions", [])
        return next((one.get("message", "") for one in conditions if one["type"] == "PodScheduled"), "")

    wait_for("the scheduler says why", lambda: "untolerated taint" in refusal())
    assert TAINT["key"] in refusal()
    cluster.kubectl("delete", "pod", name, "--namespace", HUB)


def replace_core_nodes(cluster: Cluster, cloud: Connection) -> None:
    """Deletes every core node's server; the cluster makes new ones."""
    old = {node["metadata"]["name"] for node in core_nodes(cluster)}
    for server in list(cloud.compute.servers()):
        if server.name in old:
            cloud.compute.delete_server(server.id)
    wait_for(
        "the core nodes are others",
        lambda: (names := set(cluster.nodes()[CORE])) and not names & old and len(names) == len(old),
        120,
    )


@pytest.mark.parametrize("time", ["first", "second"])
def test_after_the_core_nodes_were_replaced_all_is_as_before(
    cluster: Cluster, cloud: Connection, time: str
) -> None:
    replace_core_nodes(cluster, cloud)
    assert_core_nodes_are_marked(cluster)
    assert_core_pods_are_on_the_core_node(cluster)
    keeper = cluster.objects("pods", "--namespace", "kube-system", *KEEPER)
    assert [pod["spec"].get("nodeName") for pod in keeper] == cluster.nodes()[CORE]


def test_a_second_preview_is_clean_after_all_that(stack: Stack) -> None:
    result = stack.pulumi("preview", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


def test_destroy_takes_every_home_along(stack: Stack, cluster: Cluster, cloud: Connection) -> None:
    """The rehearsal's reclaim policy is Delete; forty users' homes are volumes that no program knows of."""
    made = [volume["spec"] for volume in cluster.objects("pv") if "csi" in volume["spec"]]
    assert {volume["persistentVolumeReclaimPolicy"] for volume in made} == {"Delete"}
    ids = {volume["csi"]["volumeHandle"] for volume in made}
    assert len(ids) > sum(USERS.values()), "a home each, and the hub's own"
    assert ids <= {str(volume.id) for volume in cloud.block_storage.volumes()}
    assert stack.outputs()["kept_after_destroy"] == []
    stack.destroy()
    wait_for(
        "all their volumes are gone",
        lambda: not ids & {str(volume.id) for volume in cloud.block_storage.volumes()},
        20,
    )
