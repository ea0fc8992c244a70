"""The lab itself: repairs after a kill, keeps what was committed, lists on loopback only, leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest
from openstack.connection import Connection

from lab import openstack, paths, processes
from tests.lab.listening import listening_addresses

SERVICES = [*(service.name for service in openstack.services()), "accounting", "keeper"]


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


@pytest.mark.parametrize("name", SERVICES)
def test_killed_service_is_repaired_and_nothing_is_lost(lab_up: None, cloud: Connection, name: str) -> None:
    network = cloud.network.create_network(name=f"kept-through-{name}")
    try:
        victim = processes.find(name)
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        psutil.wait_procs([victim], timeout=10)
        assert lab("status").returncode == 1

        assert lab("up").returncode == 0

        assert status()["up"]
        found = cloud.network.find_network(network.id)
        assert found is not None
        assert found.name == f"kept-through-{name}"
    finally:
        cloud.network.delete_network(network.id)


def test_everything_killed_at_once_is_repaired(lab_up: None, cloud: Connection) -> None:
    victims = [process for name in processes.known() if (process := processes.find(name))]
    assert len(victims) >= 9
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=10)

    repaired = lab("up")

    assert repaired.returncode == 0, repaired.stderr
    assert status()["up"]
    assert cloud.compute.find_flavor("m3.quad") is not None


def test_all_listens_on_loopback_only(lab_up: None) -> None:
    assert listening_addresses() == {"127.0.0.1"}


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


def test_down_leaves_no_process_and_up_brings_all_back(lab_up: None) -> None:
    running = [process for name in processes.known() if (process := processes.find(name))]
    everything = [member for process in running for member in [process, *process.children(recursive=True)]]
    assert len(everything) >= 9

    assert lab("down").returncode == 0

    assert [process for process in everything if not _has_ended(process)] == []
    assert processes.known() == []
    assert lab("up").returncode == 0


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
