"""Magnum clusters in the lab: real control planes, and Jetstream2's driver in what hurts.

One cluster serves all tests of this file; they run in order and build on one another.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
import requests
from openstack.connection import Connection

from lab import ports, processes
from lab.kubernetes import folders
from tests.lab.cluster_under_test import NEWEST, ClusterUnderTest, Kubernetes, wait_for

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture(scope="module")
def network(cloud: Connection) -> Iterator[Any]:
    """A network behind a router to ``public``."""
    api: Any = cloud.network
    name = f"clusters-{uuid.uuid4().hex[:6]}"
    network = api.create_network(name=name)
    subnet = api.create_subnet(network_id=network.id, ip_version=4, cidr="10.91.0.0/24", name=name)
    router = api.create_router(name=name, external_gateway_info={"network_id": api.find_network("public").id})
    api.add_interface_to_router(router, subnet=subnet.id)
    yield network
    api.remove_interface_from_router(router, subnet=subnet.id)
    api.delete_router(router)
    api.delete_network(network)


@pytest.fixture(scope="module")
def template(cloud: Connection) -> Any:
    """The public cluster template."""
    api: Any = cloud.container_infrastructure_management
    return next(one for one in api.cluster_templates() if one.name == "kubernetes-1-33-jammy")


@pytest.fixture
def larger_than_the_quota(cloud: Connection) -> Iterator[str]:
    """A flavor that no project may have: what Nova refuses at once takes no room from other clusters."""
    compute: Any = openstack.connect(cloud="lab-admin").compute
    flavor = compute.create_flavor(name=f"test.{uuid.uuid4().hex[:6]}", vcpus=200, ram=8192, disk=20)
    yield flavor.name
    compute.delete_flavor(flavor)


def make_cluster(cloud: Connection, name: str, network: str, template: str) -> ClusterUnderTest:
    """Asks for a cluster with a core node that cannot grow."""
    body = {
        "name": name,
        "cluster_template_id": template,
        "master_flavor_id": "m3.quad",
        "flavor_id": "m3.quad",
        "fixed_network": network,
        "labels": {"auto_scaling_enabled": "true", "min_node_count": "1", "max_node_count": "1"},
        "merge_labels": True,
        "create_timeout": 30,
    }
    api: Any = cloud.container_infrastructure_management
    answer = api.post("/clusters", json=body, headers=NEWEST, raise_exc=False)
    assert answer.status_code == 202, answer.text
    return ClusterUnderTest(cloud, answer.json()["uuid"])


def delete_cluster(cloud: Connection, made: ClusterUnderTest) -> None:
    """Deletes a cluster and waits until it is gone."""
    api: Any = cloud.container_infrastructure_management
    api.delete(f"/clusters/{made.uuid}", raise_exc=False)
    wait_for(
        "the cluster is gone",
        lambda: api.get(f"/clusters/{made.uuid}", raise_exc=False).status_code == 404,
    )


@contextlib.contextmanager
def standing_cluster(cloud: Connection, name: str, network: str, template: str) -> Iterator[ClusterUnderTest]:
    """A cluster that is CREATE_COMPLETE, with its control plane and one node; it is deleted in any case."""
    made = make_cluster(cloud, name, network, template)
    try:
        state = made.settled()
        assert state["status"] == "CREATE_COMPLETE", state["status_reason"]
        yield made
    finally:
        delete_cluster(cloud, made)


def slot(kubernetes: Kubernetes) -> int:
    """The cluster's place in the lab's port table."""
    return (int(kubernetes.url.rpartition(":")[2]) - ports.CLUSTER_BASE) // ports.PORTS_PER_CLUSTER


@pytest.fixture(scope="module")
def cluster(cloud: Connection, network: Any, template: Any) -> Iterator[ClusterUnderTest]:
    """A cluster that is CREATE_COMPLETE; it is deleted in any case."""
    with standing_cluster(cloud, "under-test", network.name, template.id) as made:
        yield made


@pytest.fixture(scope="module")
def kubernetes(
    cloud: Connection, cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Kubernetes:
    """The cluster's API server."""
    return Kubernetes(cloud, cluster, tmp_path_factory.mktemp("certificates"))


def test_a_created_cluster_answers_and_every_node_is_a_server(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    state = cluster.now
    assert state["api_address"].startswith("https://127.0.0.1:")
    assert state["coe_version"] == kubernetes.call("GET", "/version")["gitVersion"] == "v1.33.1"
    assert state["health_status"] == "HEALTHY"
    servers = {f"openstack:///{server.id}": server for server in cluster.servers()}
    nodes = kubernetes.nodes()
    assert {node["spec"]["providerID"] for node in nodes} == set(servers)
    addresses = {node["status"]["addresses"][0]["address"] for node in nodes}
    assert addresses == {*state["node_addresses"], *state["master_addresses"]}
    assert len(kubernetes.nodes("default-worker")) == 1


def test_without_a_certificate_nobody_reads_secrets(kubernetes: Kubernetes) -> None:
    answer = requests.get(
        f"{kubernetes.url}/api/v1/secrets", verify=str(kubernetes.session.verify), timeout=5
    )
    assert answer.status_code == 403


def test_a_groups_labels_role_and_taints_do_not_reach_its_nodes(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    cluster.ask_group(
        "low",
        "m3.quad",
        high=2,
        role="users",
        labels={"hub.jupyter.org/node-purpose": "user"},
        node_taints=[{"key": "dedicated", "value": "user", "effect": "NoSchedule"}],
    )
    group = cluster.group_settled("low")
    assert (group["status"], group["role"]) == ("CREATE_COMPLETE", "users")
    (node,) = kubernetes.nodes("low")
    assert "hub.jupyter.org/node-purpose" not in node["metadata"]["labels"]
    assert not node["spec"].get("taints")
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "m3.quad"
    assert node["status"]["allocatable"]["cpu"] == "4"


def test_a_second_group_is_refused_while_one_is_being_created(cluster: ClusterUnderTest) -> None:
    cluster.settled()
    cluster.ask_group("high", "m3.medium", high=2)
    cluster.ask_group("hasty", "m3.medium")
    assert cluster.group_settled("hasty")["status"] == "CREATE_FAILED"
    assert "another operation" in cluster.group_settled("hasty")["status_reason"]
    cluster.delete_group("hasty")
    assert cluster.group_settled("high")["status"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "flavor", "low", "reason"),
    [
        ("tiny", "m3.tiny", 1, "does not have enough CPU"),
        ("zero", "m3.quad", 0, "Min node count must be greater than or equal to 1"),
        ("Capital", "m3.quad", 1, "does not match"),
    ],
)
def test_what_the_driver_refuses(
    cluster: ClusterUnderTest, name: str, flavor: str, low: int, reason: str
) -> None:
    cluster.settled()
    cluster.ask_group(name, flavor, low=low)
    group = cluster.group_settled(name)
    assert group["status"] == "CREATE_FAILED"
    assert reason in group["status_reason"]
    cluster.delete_group(name)


def test_labels_cannot_change(cluster: ClusterUnderTest) -> None:
    patch = [{"op": "replace", "path": "/labels/max_node_count", "value": "5"}]
    answer = cluster.call("PATCH", "", json=patch)
    assert answer.status_code == 400, answer.text


def test_pending_pods_make_a_group_grow_within_its_bounds_only(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    cluster.settled()
    for number in range(3):
        kubernetes.pod(f"user-{number}", "high", cpu="7")
    wait_for(
        "two pods run",
        lambda: sum(kubernetes.phase(f"user-{number}") == "Running" for number in range(3)) == 2,
    )
    assert len(kubernetes.nodes("high")) == 2
    pending = next(f"user-{n}" for n in range(3) if kubernetes.phase(f"user-{n}") == "Pending")
    text = wait_for("the bound is told", lambda: kubernetes.event(pending, "NotTriggerScaleUp"))
    assert text == (
        "pod didn't trigger scale-up: 1 max node group size reached, "
        "1 node(s) didn't match Pod's node affinity/selector"
    )
    started = [n for n in range(3) if kubernetes.event(f"user-{n}", "TriggeredScaleUp")]
    assert len(started) == 1
    group = cluster.group("high")
    assert group and group["node_count"] == 1, "Magnum does not follow the autoscaler"


def test_a_higher_bound_lets_the_group_grow(cluster: ClusterUnderTest, kubernetes: Kubernetes) -> None:
    cluster.set_maximum("high", 3)
    wait_for("all run", lambda: all(kubernetes.phase(f"user-{n}") == "Running" for n in range(3)))
    assert cluster.group_settled("high")["status"] == "UPDATE_COMPLETE"


def test_default_workers_bound_is_the_clusters_label(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    cluster.settled()
    cluster.set_maximum("default-worker", 3)
    cluster.group_settled("default-worker")
    kubernetes.pod("core-0", "default-worker", cpu="3")
    kubernetes.pod("core-1", "default-worker", cpu="3")
    time.sleep(6)
    assert len(kubernetes.nodes("default-worker")) == 1
    for number in range(2):
        kubernetes.delete_pod(f"core-{number}")


def test_pods_of_very_low_priority_never_make_a_group_grow(kubernetes: Kubernetes) -> None:
    kubernetes.call(
        "POST",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {"metadata": {"name": "expendable"}, "value": -11},
    )
    kubernetes.pod("expendable-0", "low", cpu="3", priorityClassName="expendable")
    kubernetes.pod("expendable-1", "low", cpu="3", priorityClassName="expendable")
    time.sleep(5)
    assert len(kubernetes.nodes("low")) == 1
    assert not any(kubernetes.event(f"expendable-{n}", "TriggeredScaleUp") for n in range(2))
    for number in range(2):
        kubernetes.delete_pod(f"expendable-{number}")


def test_empty_nodes_go_until_the_minimum(cluster: ClusterUnderTest, kubernetes: Kubernetes) -> None:
    for number in range(3):
        kubernetes.delete_pod(f"user-{number}")
    wait_for("one node of three is left", lambda: len(kubernetes.nodes("high")) == 1, 90)
    wait_for(
        "its servers are gone too",
        lambda: sum("-high-" in server.name for server in cluster.servers()) == 1,
    )


def test_resize_is_followed_only_without_autoscaling(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    cluster.settled()
    cluster.resize("low", 2)
    cluster.resize("default-worker", 2)
    wait_for("a second core node", lambda: len(kubernetes.nodes("default-worker")) == 2)
    cluster.settled()
    assert len(kubernetes.nodes("low")) == 1
    cluster.resize("default-worker", 1)
    wait_for("the first core node only", lambda: len(kubernetes.nodes("default-worker")) == 1)
    assert cluster.settled()["status"] == "UPDATE_COMPLETE"


def test_a_claim_gets_a_cinder_volume_that_grows_and_stays(cloud: Connection, kubernetes: Kubernetes) -> None:
    api: Any = cloud.block_storage
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    claim = kubernetes.call("POST", CLAIMS, {"metadata": {"name": "home"}, "spec": spec})
    name = f"pvc-{claim['metadata']['uid']}"
    time.sleep(2)
    assert not list(api.volumes(name=name)), "nothing is made before a pod wants it"
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
    kubernetes.pod("at-home", "low", volumes=volumes)
    wait_for("the pod runs", lambda: kubernetes.phase("at-home") == "Running")
    (volume,) = api.volumes(name=name)
    assert volume.size == 2
    kubernetes.call("PATCH", f"{CLAIMS}/home", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}})
    wait_for(
        "the claim has grown",
        lambda: kubernetes.call("GET", f"{CLAIMS}/home")["status"]["capacity"]["storage"] == "3Gi",
    )
    assert api.get_volume(volume.id).size == 3
    kubernetes.delete_pod("at-home")
    kubernetes.call("DELETE", f"{CLAIMS}/home")
    wait_for(
        "the volume is released",
        lambda: kubernetes.call("GET", f"/api/v1/persistentvolumes/{name}")["status"]["phase"] == "Released",
    )
    kubernetes.call("DELETE", f"/api/v1/persistentvolumes/{name}")
    time.sleep(2)
    assert api.get_volume(volume.id).status == "available", "reclaim policy Retain"
    api.delete_volume(volume.id)


def test_with_reclaim_policy_delete_the_volume_goes_with_its_claim(
    cloud: Connection, kubernetes: Kubernetes
) -> None:
    api: Any = cloud.block_storage
    kubernetes.call(
        "POST",
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": "passing"},
            "provisioner": "cinder.csi.openstack.org",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
    )
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "passing",
    }
    claim = kubernetes.call("POST", CLAIMS, {"metadata": {"name": "scratch"}, "spec": spec})
    name = f"pvc-{claim['metadata']['uid']}"
    wait_for(
        "the claim is bound",
        lambda: kubernetes.call("GET", f"{CLAIMS}/scratch")["status"]["phase"] == "Bound",
    )
    assert len(list(api.volumes(name=name))) == 1
    kubernetes.call("DELETE", f"{CLAIMS}/scratch")
    wait_for("the volume is gone", lambda: not list(api.volumes(name=name)))
    kubernetes_url = f"{kubernetes.url}/api/v1/persistentvolumes/{name}"
    wait_for("so is its object", lambda: kubernetes.session.get(kubernetes_url).status_code == 404)


def test_load_balancers_get_floating_addresses_and_give_them_back(
    cloud: Connection, kubernetes: Kubernetes
) -> None:
    api: Any = cloud.network
    reserved = api.create_ip(floating_network_id=api.find_network("public").id)
    ask: dict[str, dict[str, str]] = {
        "proxy": {},
        "ingress": {"loadBalancerIP": reserved.floating_ip_address},
    }
    for name, more in ask.items():
        spec = {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}], **more}
        kubernetes.call("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})

    def address(name: str) -> str | None:
        ingress = kubernetes.call("GET", f"{SERVICES}/{name}")["status"]["loadBalancer"].get("ingress")
        return ingress[0]["ip"] if ingress else None

    allocated = wait_for("an address", lambda: address("proxy"))
    assert wait_for("the reserved address", lambda: address("ingress")) == reserved.floating_ip_address
    (found,) = api.ips(floating_ip_address=allocated)
    assert "service default/proxy from cluster" in found.description
    assert api.get_ip(reserved.id).port_id
    for name in ask:
        kubernetes.call("DELETE", f"{SERVICES}/{name}")
    wait_for("the allocated address is gone", lambda: not list(api.ips(floating_ip_address=allocated)))
    wait_for("the reserved one is free", lambda: api.get_ip(reserved.id).port_id is None)
    api.delete_ip(reserved.id)


def test_a_node_whose_server_stops_or_vanishes_is_replaced(
    cloud: Connection, cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    api: Any = cloud.compute
    (low,) = kubernetes.nodes("low")
    (high,) = kubernetes.nodes("high")
    api.delete_server(low["spec"]["providerID"].rpartition("/")[2])
    api.stop_server(high["spec"]["providerID"].rpartition("/")[2])
    for group, old in (("low", low), ("high", high)):

        def replaced(group: str = group, old: Any = old) -> bool:
            names = [node["metadata"]["name"] for node in kubernetes.nodes(group)]
            return len(names) == 1 and names != [old["metadata"]["name"]]

        wait_for(f"a new node of {group}", replaced, 60)
    wait_for("as many servers as nodes", lambda: len(cluster.servers()) == len(kubernetes.nodes()))


def test_a_group_beyond_the_quota_fails_with_novas_words(
    cluster: ClusterUnderTest, larger_than_the_quota: str
) -> None:
    cluster.settled()
    cluster.ask_group("greedy", larger_than_the_quota)
    group = cluster.group_settled("greedy", 90)
    assert group["status"] == "CREATE_FAILED"
    assert "Quota exceeded" in group["status_reason"]
    cluster.delete_group("greedy")


def test_an_upgrade_replaces_every_node(
    cloud: Connection, cluster: ClusterUnderTest, kubernetes: Kubernetes, template: Any
) -> None:
    cluster.settled()
    images: Any = cloud.image
    image = images.create_image(
        name="ubuntu-newer",
        container_format="bare",
        disk_format="raw",
        data=b"newer",
        os_distro="ubuntu",
        kube_version="v1.33.1",
    )
    api: Any = cloud.container_infrastructure_management
    body = {
        "name": "newer",
        "coe": "kubernetes",
        "image_id": image.id,
        "external_network_id": "public",
        "network_driver": "calico",
        "flavor_id": "m3.quad",
        "master_flavor_id": "m3.quad",
    }
    newer = api.post("/clustertemplates", json=body).json()
    before = {server.id for server in cluster.servers()}
    try:
        answer = cluster.call(
            "POST", "/actions/upgrade", json={"cluster_template": newer["uuid"], "max_batch_size": 1}
        )
        assert answer.status_code == 202, answer.text
        assert cluster.settled(120)["status"] == "UPDATE_COMPLETE"
        after = {server.id for server in cluster.servers()}
        assert len(after) == len(before)
        assert not after & before
        assert len(kubernetes.nodes()) == len(after)
        back = cluster.call(
            "POST", "/actions/upgrade", json={"cluster_template": template.id, "max_batch_size": 1}
        )
        assert back.status_code == 202, back.text
        cluster.settled(120)
    finally:
        api.delete(f"/clustertemplates/{newer['uuid']}")
        images.delete_image(image.id)


def test_a_cluster_whose_port_is_taken_fails_and_says_so(
    cloud: Connection, kubernetes: Kubernetes, network: Any, template: Any
) -> None:
    taken = {folder.slot() for folder in folders.every()}
    next_slot = min(set(range(ports.MAX_CLUSTERS)) - taken)
    with socket.create_server((ports.HOST, ports.cluster_ports(next_slot).etcd_client)):
        made = make_cluster(cloud, "blocked", network.name, template.id)
        try:
            state = made.settled(40)
            assert state["status"] == "CREATE_FAILED"
            assert "is taken by" in state["status_reason"]
            assert not made.servers()
        finally:
            delete_cluster(cloud, made)


def test_killed_processes_come_back_and_lose_nothing(
    cluster: ClusterUnderTest, kubernetes: Kubernetes
) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    for number in range(20):
        kubernetes.call("POST", path, {"metadata": {"name": f"kept-{number}"}})
    for part in ("etcd", "apiserver", "controller-manager", "scheduler", "kwok"):
        process = processes.find(f"cluster{slot(kubernetes)}-{part}")
        assert process
        process.send_signal(signal.SIGKILL)

    def answers() -> bool:
        try:
            return len(kubernetes.call("GET", path)["items"]) >= 20
        except (AssertionError, OSError):
            return False

    wait_for("the API server answers again with all it had", answers, 30)
    kubernetes.pod("after-the-kill", "default-worker")
    wait_for("the scheduler and KWOK work again", lambda: kubernetes.phase("after-the-kill") == "Running")


def test_a_deleted_cluster_leaves_nothing_but_what_jetstream2_leaves(
    cloud: Connection, cluster: ClusterUnderTest, kubernetes: Kubernetes, network: Any
) -> None:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    kubernetes.call("POST", SERVICES, {"metadata": {"name": "forgotten"}, "spec": spec})

    def address() -> str | None:
        status = kubernetes.call("GET", f"{SERVICES}/forgotten")["status"]["loadBalancer"]
        return status["ingress"][0]["ip"] if status.get("ingress") else None

    left = wait_for("an address", address)
    delete_cluster(cloud, cluster)
    assert not cluster.servers()
    assert not [name for name in processes.known() if name.startswith(f"cluster{slot(kubernetes)}-")]
    networks: Any = cloud.network
    owners = {port.device_owner for port in networks.ports(network_id=network.id)}
    assert owners == {"network:router_interface"}
    (orphan,) = networks.ips(floating_ip_address=left)
    assert orphan.port_id is None
    networks.delete_ip(orphan.id)
