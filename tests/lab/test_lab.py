"""The lab itself: repairs after a kill, keeps what was committed, listens on loopback, leaves nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from openstack.connection import Connection

from lab import internet, openstack, paths, processes
from lab.kubernetes.control_plane import STOP_ORDER
from lab.kubernetes.folders import Folder
from lab.ports import NAME_SERVER
from tests.lab.cluster_under_test import ClusterUnderTest, Kubernetes, wait_for
from tests.lab.listening import Place, listening
from tests.lab.test_clusters import network, standing_cluster, template

__all__ = ["network", "template"]

SERVICES = [
    *(service.name for service in [*openstack.services(), *internet.services()]),
    "accounting",
    "keeper",
]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m lab``."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=paths.PROGRAM,
    )


def status() -> dict[str, Any]:
    """What ``status --json`` prints."""
    found: dict[str, Any] = json.loads(lab("status", "--json").stdout)
    return found


def kill(*victims: psutil.Process) -> None:
    """Gives them no chance to put anything in order."""
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    wait_for("they end", lambda: all(map(_has_ended, victims)), 10)


@pytest.fixture(scope="module")
def cluster(cloud: Connection, network: Any, template: Any) -> Iterator[ClusterUnderTest]:
    """A cluster with one node."""
    with standing_cluster(cloud, f"repaired-{uuid.uuid4().hex[:6]}", network.name, template.id) as made:
        yield made


@pytest.fixture(scope="module")
def all_is_kept(
    cloud: Connection, cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], None]]:
    """Looks for what was committed, once, before anything is killed: nothing of the lab makes it again."""
    kubernetes = Kubernetes(cloud, cluster, tmp_path_factory.mktemp("certificates"))
    cinder: Any = cloud.block_storage
    name = f"kept-{uuid.uuid4().hex[:6]}"
    volume = cinder.create_volume(name=name, size=1)
    wait_for("a volume", lambda: cinder.get_volume(volume.id).status == "available")
    kubernetes.call("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": {"is": "kept"}})
    servers = {server.id for server in cluster.servers()}
    assert servers

    def look() -> None:
        found = cinder.get_volume(volume.id)
        assert (found.name, found.status) == (name, "available")
        assert kubernetes.call("GET", f"{CONFIG_MAPS}/{name}")["data"] == {"is": "kept"}
        assert {server.id for server in cluster.servers()} == servers

    yield look
    cinder.delete_volume(volume)
    cinder.wait_for_delete(volume, interval=0.2, wait=30)


@pytest.mark.parametrize("name", SERVICES)
def test_killed_service_is_repaired_and_nothing_is_lost(
    cloud: Connection, all_is_kept: Callable[[], None], name: str
) -> None:
    network = cloud.network.create_network(name=f"kept-through-{name}")
    try:
        victim = processes.find(name)
        assert victim is not None
        kill(victim)
        assert lab("status").returncode == 1

        assert lab("up").returncode == 0

        assert status()["up"]
        found = cloud.network.find_network(network.id)
        assert found is not None
        assert found.name == f"kept-through-{name}"
        all_is_kept()
    finally:
        cloud.network.delete_network(network.id)


@pytest.mark.parametrize("part", STOP_ORDER)
def test_killed_part_of_a_control_plane_is_waited_for(
    cluster: ClusterUnderTest, all_is_kept: Callable[[], None], part: str
) -> None:
    slot = Folder(path=paths.CLUSTERS / cluster.uuid).slot()
    victim = processes.find(f"cluster{slot}-{part}")
    assert victim is not None
    kill(victim)

    # The keeper starts it again by itself, sooner or later; `up` ends only when it has.
    assert lab("up").returncode == 0

    assert status()["up"]
    all_is_kept()


def test_everything_killed_at_once_is_repaired(cloud: Connection, all_is_kept: Callable[[], None]) -> None:
    victims = [process for name in processes.known() if (process := processes.find(name))]
    assert len(victims) >= len(SERVICES) + len(STOP_ORDER)
    kill(*victims)

    repaired = lab("up")

    assert repaired.returncode == 0, repaired.stderr
    assert status()["up"]
    assert cloud.compute.find_flavor("m3.quad") is not None
    all_is_kept()


def test_all_listens_on_loopback_only(cluster: ClusterUnderTest) -> None:
    found = listening()
    assert {place.address for place in found} == {"127.0.0.1"}
    for protocol in ("tcp", "udp"):
        assert Place(protocol=protocol, address="127.0.0.1", port=NAME_SERVER) in found


def test_no_secret_stands_in_the_process_list(lab_up: None) -> None:
    secrets = _secrets()
    assert secrets
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        assert not any(secret in line for secret in secrets), process


def test_no_secret_stands_in_a_log(lab_up: None) -> None:
    secrets = _secrets()
    for log in paths.LOG.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), log


def test_status_says_where_each_tool_came_from(lab_up: None) -> None:
    tools = {tool["name"]: tool["source"] for tool in status()["tools"]}
    assert {"pulumi", "kubernetes", "helm", "etcd", "kwok"} <= set(tools)
    assert set(tools.values()) <= {
        "on PATH",
        "official release",
        "built from Go modules",
        "the lab's own plugin",
    }


def test_logs_of_an_unknown_service_name_the_known_ones(lab_up: None) -> None:
    answer = lab("logs", "keystoned")
    assert answer.returncode == 1
    assert "'keystoned'" in answer.stderr
    assert "keystone" in answer.stderr.split("Logs:")[1]


def test_down_leaves_no_process_and_up_brings_all_back(all_is_kept: Callable[[], None]) -> None:
    running = [process for name in processes.known() if (process := processes.find(name))]
    everything = [member for process in running for member in [process, *process.children(recursive=True)]]
    assert len(everything) >= 9

    assert lab("down").returncode == 0

    assert [process for process in everything if not _has_ended(process)] == []
    assert processes.known() == []
    assert lab("up").returncode == 0
    all_is_kept()


def _has_ended(process: psutil.Process) -> bool:
    try:
        # A zombie runs nothing any more: its parent has yet to look.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _secrets() -> list[str]:
    """Every generated password and credential of the lab."""
    import yaml

    clouds = yaml.safe_load(paths.CLOUDS_YAML.read_text())["clouds"]
    made = json.loads((paths.STATE / "openstack" / "passwords.json").read_text())
    found = list(made.values())
    for cloud in clouds.values():
        for key, value in cloud["auth"].items():
            if key in ("password", "application_credential_secret"):
                found.append(value)
    return found
