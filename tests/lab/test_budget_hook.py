"""The price of the pools, by the real engine: shown, refused before any node group, and never in the way.

The tests of this file run in order on one stack; each leaves it as the next one wants it.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from allocation import ledger
from allocation.ledger import Row
from allocation.rates import CPU
from allocation.times import DAY, HOUR, day_begins, day_ends
from lab import processes
from tests.lab import startup_code
from tests.lab.stack import Settings, Stack, dev_settings
from tests.lab.test_gateway import node_groups

CLUSTER = "science-budget"
BURN = 24.0
"""SU/h in the ledgers of these tests; the pools' floor is 20 and their ceiling 40."""

SMALL, LARGE = 24.4, 100.0
"""SU/h to the end that the allocation is good for: just enough for the pools as they are; ample."""

REFUSED = "The change is refused, as gateway:budget.policy is enforce."

AT_THE_TABLE = """
import os, pulumi
say = pulumi.log.info
def info(text, *rest, **more):
    if text.startswith("price of the node pools"):
        {harm}
    say(text, *rest, **more)
pulumi.log.info = info
"""
"""Harms the callback at its last step."""

HARMS = {
    "raises": ('raise OSError(28, "No space left on device")', "No space left on device"),
    "dies": ("os.kill(os.getpid(), 9)", 'before hook "price-of-pools" failed'),
}
"""Code, and what the engine then says."""


def written(path: Path, good_for: float) -> Path:
    """A ledger of 200 days, of an allocation that goes on for 60 days and is good for so many SU/h."""
    now = time.time() - 60
    today = datetime.now(UTC).date()
    start, end = today - timedelta(days=200), today + timedelta(days=60)
    used = [
        (now - day * DAY, BURN * (now - day * DAY - day_begins(start)) / HOUR) for day in range(199, -1, -1)
    ]
    allocated = used[-1][1] + good_for * (day_ends(end) - now) / HOUR
    path.unlink(missing_ok=True)
    ledger.append(path, [Row(moment, CPU, su, allocated, start, end) for moment, su in used])
    return path


def settings(**budget: object) -> Settings:
    """The rehearsal's, without the way in, which is not tried here."""
    made = dev_settings()
    config = made["config"]
    for part in ("tls", "dns"):
        del config[f"gateway:{part}"]
    del config["gateway:hub"]["host"]
    del config["gateway:storage"]["shared_drive"]
    config["gateway:budget"] = {"reporting_lag_hours": 0, **budget}
    return made


def raised(**budget: object) -> Settings:
    """With many more nodes allowed."""
    made = settings(**budget)
    made["config"]["gateway:pools"]["low"]["max"] = 60
    return made


def diagnostics(stack: Stack) -> tuple[int, list[tuple[str, str]]]:
    """A preview's exit status, and what it said: severity and text."""
    result = stack.pulumi("preview", "--json")
    said = json.loads(result.stdout[result.stdout.index("{") :]).get("diagnostics") or []
    return result.returncode, [(each["severity"], each["message"]) for each in said]


def tables(said: list[tuple[str, str]]) -> list[str]:
    """The tables among it."""
    return [text for _, text in said if text.startswith("price of the node pools")]


def row(table: str, name: str) -> list[str]:
    """A row's cells."""
    [line] = [line for line in table.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()


def is_whole(stack: Stack) -> None:
    """The state can be read, nothing is half done, and there is nothing to do."""
    assert not json.loads(stack.state())["deployment"].get("pending_operations")
    result = stack.pulumi("preview", "--expect-no-changes")
    assert result.returncode == 0, result.stdout + result.stderr


def magnum(cloud: Connection) -> dict[str, Any]:
    """What must not change when a change is refused, of every node group; Magnum's last touch included."""
    keys = ("uuid", "flavor_id", "node_count", "min_node_count", "max_node_count", "updated_at")
    return {name: [group[key] for key in keys] for name, group in node_groups(cloud, CLUSTER).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ledgers are."""
    return tmp_path_factory.mktemp("ledgers")


@pytest.fixture(scope="module")
def stack(
    lab_environment: dict[str, str], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack that does not stand yet; destroyed at the end even if a test failed."""
    made = Stack("budget", tmp_path_factory.mktemp("settings"), lab_environment)
    yield made
    made.write(settings())
    made.destroy()


def test_the_preview_of_a_new_gateway_shows_its_price_once(stack: Stack, folder: Path) -> None:
    stack.write(settings(ledger=str(written(folder / "small.csv", SMALL)), policy="enforce"))
    # In words: Pulumi 3.250 itself panics where `preview --json` tells of a gateway that does not stand yet.
    result = stack.pulumi("preview")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line.strip() for line in result.stdout.partition("Diagnostics:")[2].splitlines()]
    [begins] = [number for number, line in enumerate(lines) if line.startswith("price of the node pools")]
    table = "\n".join(lines[begins:])
    assert row(table, "floor, SU/h") == ["–", "20.0"]
    assert row(table, "ceiling, SU/h") == ["–", "40.0"]
    assert any(line.startswith("Lasts to ") for line in lines)


def test_without_credentials_the_price_is_shown_all_the_same(stack: Stack, tmp_path: Path) -> None:
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text("clouds: {}\n")
    result = stack.pulumi("preview", environment={"OS_CLIENT_CONFIG_FILE": str(clouds)})
    assert result.returncode != 0
    assert "price of the node pools" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_up_shows_it_too(stack: Stack, cloud: Connection) -> None:
    assert "price of the node pools" in stack.up()
    assert set(node_groups(cloud, CLUSTER)) == {"default-master", "default-worker", "low", "high"}


def test_nothing_is_said_where_the_pools_do_not_change(stack: Stack) -> None:
    status, said = diagnostics(stack)
    assert (status, tables(said)) == (0, [])


def test_a_raise_is_shown_before_and_after(stack: Stack, folder: Path) -> None:
    stack.write(raised(ledger=str(folder / "small.csv")))
    status, said = diagnostics(stack)
    assert status == 0, said
    [table] = tables(said)
    assert row(table, "ceiling, SU/h") == ["40.0", "264.0"]
    before, after = (float(cell.replace(",", "")) for cell in row(table, "SU delta at the end"))
    assert before > 0 > after


def test_enforce_refuses_it_before_any_node_group_is_touched(
    stack: Stack, cloud: Connection, folder: Path
) -> None:
    before = magnum(cloud)
    stack.write(raised(ledger=str(folder / "small.csv"), policy="enforce"))
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        result = stack.pulumi(*command)
        text = result.stdout + result.stderr
        assert result.returncode != 0, text
        assert REFUSED in text
        assert "What would fit: low with min 1 and max " in text
        assert "Traceback" not in text
    assert magnum(cloud) == before
    stack.write(settings(ledger=str(folder / "small.csv"), policy="enforce"))
    is_whole(stack)


def test_a_dearer_flavor_is_refused_too(stack: Stack, cloud: Connection, folder: Path) -> None:
    """It is a replacement of the node group, and an update of the component that the hook is bound to."""
    larger = settings(ledger=str(folder / "small.csv"), policy="enforce")
    larger["config"]["gateway:pools"]["high"]["flavor"] = "m3.large"
    stack.write(larger)
    status, said = diagnostics(stack)
    assert status != 0
    assert row(tables(said)[0], "floor, SU/h") == ["20.0", "28.0"]
    assert any(REFUSED in text for _, text in said)


@pytest.mark.parametrize("harm", HARMS)
def test_a_callback_that_breaks_leaves_groups_and_state_whole(
    stack: Stack, cloud: Connection, folder: Path, tmp_path: Path, harm: str
) -> None:
    before = magnum(cloud)
    stack.write(raised(ledger=str(folder / "small.csv")))
    code, words = HARMS[harm]
    broken = startup_code.installed(tmp_path / "site", AT_THE_TABLE.format(harm=code))
    result = stack.pulumi("up", "--yes", "--skip-preview", environment=broken)
    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert words in text
    assert "Traceback" not in text
    assert magnum(cloud) == before
    stack.write(settings(ledger=str(folder / "small.csv")))
    is_whole(stack)


def test_a_forecast_that_fails_is_a_warning(stack: Stack, folder: Path, tmp_path: Path) -> None:
    stack.write(raised(ledger=str(folder / "small.csv"), policy="enforce"))
    without_statsmodels = startup_code.installed(
        tmp_path / "site", "import sys\nsys.modules['statsmodels'] = None\n"
    )
    result = stack.pulumi("preview", environment=without_statsmodels)
    text = result.stdout + result.stderr
    assert result.returncode == 0, text
    assert "missing or not to be relied on: it failed by ModuleNotFoundError" in text
    assert "Traceback" not in text


def test_an_accounting_service_that_hangs_holds_nothing_up(stack: Stack, folder: Path) -> None:
    """The hook reads the ledger alone: who records figures meets the hanging service."""
    stack.write(raised(ledger=str(folder / "small.csv")))
    service = processes.find("accounting")
    assert service is not None
    service.send_signal(signal.SIGSTOP)
    try:
        status, said = diagnostics(stack)
    finally:
        service.send_signal(signal.SIGCONT)
    assert status == 0, said
    assert len(tables(said)) == 1


def test_a_larger_allocation_lets_the_same_raise_through(
    stack: Stack, cloud: Connection, folder: Path
) -> None:
    stack.write(raised(ledger=str(written(folder / "large.csv", LARGE)), policy="enforce"))
    stack.up()
    assert node_groups(cloud, CLUSTER)["low"]["max_node_count"] == 60


def test_lowering_by_a_ceiling_and_a_flavor_is_never_refused(
    stack: Stack, cloud: Connection, folder: Path
) -> None:
    before = node_groups(cloud, CLUSTER)
    smaller = settings(ledger=str(written(folder / "overdrawn.csv", -1)), policy="enforce")
    smaller["config"]["gateway:pools"]["high"]["flavor"] = "m3.quad"
    stack.write(smaller)
    said = stack.up().partition("Diagnostics:")[2]
    assert "All SU are used up" in said
    assert said.count("price of the node pools") == 1, "for two groups the hook is called once"
    after = node_groups(cloud, CLUSTER)
    assert after["low"]["max_node_count"] == 4
    assert after["low"]["uuid"] == before["low"]["uuid"]
    assert after["high"]["flavor_id"] == "m3.quad"
    assert after["high"]["uuid"] != before["high"]["uuid"]


def test_a_pool_is_removed_though_the_ledger_is_damaged(
    stack: Stack, cloud: Connection, folder: Path
) -> None:
    """No hook is called by the deletion of a group; the component's update says what it saves, or why not."""
    damaged = folder / "damaged.csv"
    damaged.write_bytes(b"\x00\xff no ledger\n" * 20)
    fewer = settings(ledger=str(damaged), policy="enforce", require_data=True)
    del fewer["config"]["gateway:pools"]["high"]
    del fewer["config"]["gateway:profiles"][1]
    stack.write(fewer)
    text = stack.up()
    assert "damaged.csv is not a ledger" in text
    assert set(node_groups(cloud, CLUSTER)) == {"default-master", "default-worker", "low"}
    is_whole(stack)


def test_destroy_needs_no_hook(stack: Stack, cloud: Connection) -> None:
    assert "price of the node pools" not in stack.destroy()
    clusters = {each.name for each in cloud.container_infrastructure_management.clusters()}
    assert CLUSTER not in clusters
