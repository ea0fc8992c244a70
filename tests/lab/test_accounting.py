"""The lab's accounting, and the forecaster on it: `report` says what arithmetic on the servers says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from openstack.connection import Connection

from allocation import cli, rates, times
from lab import paths, processes
from lab.accounting import books, faults, meter
from lab.accounting.openstack import Cloud
from lab.accounting.rates import CPU
from lab.openstack import contents
from tests.lab.cluster_under_test import ClusterUnderTest
from tests.lab.test_clusters import network, standing_cluster, template

__all__ = ["network", "template"]

Run = Callable[..., subprocess.CompletedProcess[str]]

KEYS = {
    "description",
    "abstract",
    "service_units_allocated",
    "service_units_used",
    "start_date",
    "end_date",
    "resource",
    "active",
}


def run(*arguments: str, expected: int = 0) -> str:
    """What ``python -m ARGUMENTS`` prints; its exit status must be the expected one."""
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(paths.CLOUDS_YAML), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=paths.PROGRAM,
        env=environment,
        timeout=120,
    )
    assert done.returncode == expected, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def accounting(*arguments: str) -> dict[str, Any]:
    """What ``python -m lab accounting --json`` prints."""
    shown: dict[str, Any] = json.loads(run("lab", "accounting", *arguments, "--json"))
    return shown


@pytest.fixture(scope="module", autouse=True)
def books_of_a_rehearsal(lab_up: None) -> Iterator[None]:
    """New books for these tests; a rehearsal's clock, allocation and usage are there again afterwards."""
    fault = faults.read()
    with books.alone():
        kept = books.load()
    run("lab", "accounting", "--fault", "none")
    run("lab", "clock", "--reset")
    yield
    with books.alone():
        books.save(kept)
    faults.switch(fault)


@pytest.fixture(scope="module")
def gateway(cloud: Connection) -> Any:
    """The gateway's project (the SDK's own types cover old APIs too, hence Any)."""
    return cloud


@pytest.fixture(scope="module")
def servers(gateway: Any) -> Iterator[dict[str, Any]]:
    """A few servers beside those of whatever cluster stands, by name: 8 + 4 + 4 SU/h."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    network = gateway.network.create_network(name=name)
    gateway.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.98.0.0/24", name=name)
    image = gateway.image.find_image(contents.IMAGE).id
    made = {}
    try:
        for label, flavor in (("medium", "m3.medium"), ("quad", "m3.quad"), ("spare", "m3.quad")):
            made[label] = gateway.compute.create_server(
                name=f"{name}-{label}",
                flavor_id=gateway.compute.find_flavor(flavor).id,
                image_id=image,
                networks=[{"uuid": network.id}],
            )
        for label, server in made.items():
            made[label] = gateway.compute.wait_for_server(server, interval=0.2, wait=60)
        yield made
    finally:
        for server in made.values():
            gateway.compute.delete_server(server, ignore_missing=True)
        for server in made.values():
            gateway.compute.wait_for_delete(server, interval=0.2, wait=60)
        gateway.network.delete_network(network)


@pytest.fixture
def cluster(gateway: Any, network: Any, template: Any) -> Iterator[ClusterUnderTest]:
    """A cluster with its control plane and a node."""
    with standing_cluster(gateway, f"accounted-{uuid.uuid4().hex[:6]}", network.name, template.id) as made:
        yield made


def burn_of(gateway: Any) -> float:
    """SU/h of all servers of the project, by their flavors' and states' rates."""
    return sum(
        rates.su_per_hour(server.flavor["original_name"]) * rates.state_factor(server.status)
        for server in gateway.compute.servers()
    )


def ask(gateway: Any, token: str | None = None) -> requests.Response:
    """Asks the service, by default with the member's own token, where the catalog says it is."""
    address = gateway.session.get_endpoint(service_type="accounting", interface="public")
    return requests.get(
        address, headers={"X-Auth-Token": gateway.session.get_token() if token is None else token}, timeout=5
    )


def now_utc() -> str:
    """The lab's time as `record` and `report` take it."""
    return str(json.loads(run("lab", "clock", "--json"))["utc"])


def next_day() -> str:
    """Puts the clock a day ahead; the lab's time then."""
    return str(json.loads(run("lab", "clock", "--jump", "1d", "--json"))["utc"])


def test_members_token_sees_the_allocation_in_the_real_apis_shape(gateway: Any) -> None:
    records = ask(gateway).json()
    assert all(set(record) == KEYS for record in records)
    (current,) = (record for record in records if record["active"] == 1)
    assert current["resource"] == CPU
    assert isinstance(current["service_units_used"], float)
    assert current["start_date"] < now_utc()[:10] < current["end_date"]


def test_no_allocation_without_a_token_of_the_project(gateway: Any) -> None:
    address = gateway.session.get_endpoint(service_type="accounting", interface="public")
    assert requests.get(address, timeout=5).status_code == 401
    assert ask(gateway, "gAAAAA-not-a-token").status_code == 401
    import openstack

    admin: Any = openstack.connect(cloud="lab-admin")
    assert ask(gateway, admin.session.get_token()).json() == []


def test_faults(gateway: Any) -> None:
    def current() -> Any:
        return ask(gateway).json()[-1]["service_units_used"]

    try:
        accounting("--fault", "5xx")
        assert ask(gateway).status_code == 503
        accounting("--fault", "html")
        assert ask(gateway).headers["Content-Type"] == "text/html"
        accounting("--fault", "null")
        assert current() is None
        accounting("--fault", "wrong-type")
        assert isinstance(current(), str)
        accounting("--fault", "slow")
        with pytest.raises(requests.ReadTimeout):
            ask(gateway)
        accounting("--fault", "lag")
        assert isinstance(current(), float)
    finally:
        accounting("--fault", "none")
    assert isinstance(current(), float)


def test_lag_reports_what_was_used_18_hours_before(gateway: Any, servers: dict[str, Any]) -> None:
    burn = burn_of(gateway)
    next_day()
    used = ask(gateway).json()[-1]["service_units_used"]
    accounting("--fault", "lag")
    try:
        lagging = ask(gateway).json()[-1]["service_units_used"]
    finally:
        accounting("--fault", "none")
    assert used - lagging == pytest.approx(18 * burn, rel=0.01)


def test_usage_outlives_a_kill_and_nothing_is_counted_twice(gateway: Any, servers: dict[str, Any]) -> None:
    next_day()
    before = accounting()
    victim = processes.find("accounting")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    psutil.wait_procs([victim], timeout=10)
    assert "accounting" in run("lab", "status", expected=1)

    run("lab", "up")

    after = accounting()
    hours = (after["now"] - before["now"]) / times.HOUR
    assert after["used"][CPU] == pytest.approx(before["used"][CPU] + hours * burn_of(gateway), abs=0.01)
    assert ask(gateway).json()[-1]["service_units_used"] >= after["used"][CPU]
    assert "the accounting answers" in run("lab", "logs", "accounting")


def test_a_faster_clock_burns_faster(gateway: Any, servers: dict[str, Any]) -> None:
    before = accounting()
    run("lab", "clock", "--speed", "3600")
    time.sleep(2)
    run("lab", "clock", "--speed", "1")
    after = accounting()
    hours = (after["now"] - before["now"]) / times.HOUR
    assert hours >= 2
    assert after["used"][CPU] - before["used"][CPU] == pytest.approx(hours * burn_of(gateway), rel=0.01)


def test_sixty_days_of_records_forecast_what_arithmetic_on_the_servers_does(
    gateway: Any,
    servers: dict[str, Any],
    cluster: ClusterUnderTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = tmp_path / "usage.csv"
    nodes = sum(rates.su_per_hour(server.flavor["original_name"]) for server in cluster.servers())
    burn = burn_of(gateway)
    assert burn >= nodes + 8 + 4 + 4
    assert nodes >= 4
    end = books.day(times.parse_time(now_utc()) + 150 * times.DAY)
    start = books.day(times.parse_time(now_utc()))
    deficit, surplus = round(0.7 * burn * 150 * 24), round(1.5 * burn * 150 * 24)

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def record(now: str) -> None:
        """As ``python -m allocation record`` does it, without a start of Python for each of the days."""
        with pytest.raises(SystemExit) as ended:
            cli.main(["record", "--ledger", str(ledger), "--cloud", "lab", "--now", now])
        assert ended.value.code == 0

    def report(now: str, *, allocated: float, status: int) -> dict[str, Any]:
        text = run("allocation", "report", "--ledger", str(ledger), "--now", now, "--json", expected=status)
        said: dict[str, Any] = json.loads(text)
        used = accounting()["used"][CPU]
        hours_left = (times.day_ends(end) - times.parse_time(now)) / times.HOUR
        expected = allocated - used - burn * hours_left
        assert said["used"] == pytest.approx(used, rel=0.01)
        assert set(said["models"]) == {"linear", "least-squares", "planned"}
        for model, verdict in said["models"].items():
            assert verdict["su_delta"] == pytest.approx(expected, rel=0.01), model
            assert verdict["burn_su_per_hour"] == pytest.approx(burn, rel=0.01), model
        return said

    accounting("--allocated", str(deficit), "--start", str(start), "--end", str(end))
    record(now_utc())
    project = Cloud()
    for _ in range(60):
        # As `lab clock --jump 1d` does, without the second that its start takes.
        jumped = meter.jump(project, times.DAY).clock
        record(f"{times.utc(jumped.at(time.time())):%Y-%m-%dT%H:%M:%SZ}")

    said = report(now_utc(), allocated=deficit, status=4)
    for verdict in said["models"].values():
        assert verdict["su_delta"] < 0
        dry = times.parse_time(verdict["runs_dry_at"])
        expected_dry = times.parse_time(now_utc()) + (deficit - said["used"]) / burn * times.HOUR
        assert dry == pytest.approx(expected_dry, abs=times.DAY)

    accounting("--allocated", str(surplus))
    record(next_day())
    said = report(now_utc(), allocated=surplus, status=0)
    assert all(verdict["su_delta"] > 0 for verdict in said["models"].values())
    assert all(verdict["runs_dry_at"] is None for verdict in said["models"].values())
    assert [segment["reason"] for segment in said["segments"]] == ["first", "supplement"]

    _shelved_server_burns_nothing(gateway, servers["spare"], ledger, burn)
    _computed_burn_is_what_was_reported(ledger, burn)


def _shelved_server_burns_nothing(gateway: Any, server: Any, ledger: Path, burn: float) -> None:
    gateway.compute.shelve_server(server)
    deadline = time.monotonic() + 60
    while gateway.compute.get_server(server.id).status != "SHELVED_OFFLOADED":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert burn_of(gateway) == burn - 4

    before = accounting()["used"][CPU]
    now = next_day()

    shown = accounting()
    assert shown["burn"][CPU] == burn - 4
    assert shown["used"][CPU] - before == pytest.approx(24 * (burn - 4), rel=0.01)
    run("allocation", "record", "--ledger", str(ledger), "--cloud", "lab", "--now", now)


def _computed_burn_is_what_was_reported(ledger: Path, burn: float) -> None:
    said = json.loads(run("allocation", "drift", "--ledger", str(ledger), "--now", now_utc(), "--json"))
    days = said[CPU]["days"]
    assert len(days) >= 60
    for day in days[1:60]:
        assert day["reported"] == pytest.approx(24 * burn, rel=0.01)
        assert day["ratio"] == pytest.approx(1, rel=0.01)
