"""Nodes: what a server is worth, how a group changes, what its processes are started with."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pytest

from lab import ports
from lab.errors import LabError
from lab.kubernetes import certificates, delays, machines, node_plan, quantities
from lab.kubernetes.control_plane import ControlPlane, merged_kubeconfig
from lab.kubernetes.folders import Folder, Seen
from lab.kubernetes.machines import Flavor
from lab.kubernetes.node_plan import Machine

QUAD = Flavor(id="3", name="m3.quad", vcpus=4, ram_mib=15 * 1024, disk_gib=20)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("1", "1"),
        ("2.5", "2.5"),
        ("1Ki", "1024"),
        ("15Gi", "16106127360"),
        ("1e3", "1000"),
        (4, "4"),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert quantities.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "5GiB", "--1"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantities.parse(text)


@pytest.mark.parametrize(("size", "gib"), [("1", 1), ("1Gi", 1), ("1025Mi", 2), ("10Gi", 10)])
def test_cinder_makes_whole_gibibytes(size: str, gib: int) -> None:
    assert quantities.gibibytes(quantities.parse(size)) == gib


def test_a_node_offers_less_than_its_flavor() -> None:
    allocatable = quantities.parse_all(machines.allocatable(QUAD))
    capacity = quantities.parse_all(machines.capacity(QUAD))
    gib = Decimal(1024) ** 3
    assert allocatable["cpu"] == capacity["cpu"] == 4
    assert Decimal("14.5") * gib < allocatable["memory"] < Decimal("14.7") * gib
    assert capacity["memory"] - allocatable["memory"] == 100 * Decimal(1024) ** 2
    assert allocatable["pods"] == 110


def machine(
    name: str, *, current: bool = True, ready: bool = True, marked: bool = False, age: int = 0
) -> Machine:
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) - datetime.timedelta(minutes=age)
    return Machine(
        id=name, name=name, created_at=created, is_current=current, is_ready=ready, is_marked=marked
    )


def steps(machines: list[Machine], size: int) -> tuple[int, list[str]]:
    plan = node_plan.plan(machines, size)
    return plan.create, [one.name for one in plan.retire]


def test_a_group_gets_what_it_lacks_and_loses_the_newest_of_too_many() -> None:
    assert steps([], 3) == (3, [])
    assert steps([machine("a"), machine("b")], 2) == (0, [])
    assert steps([machine("a", age=9), machine("b", age=1), machine("c", age=5)], 2) == (0, ["b"])


def test_marked_and_broken_nodes_go_first() -> None:
    three = [machine("a", age=9, marked=True), machine("b", age=1), machine("c", age=5, ready=False)]
    assert steps(three, 2) == (0, ["a"])
    assert steps(three[1:], 1) == (0, ["c"])


def test_old_nodes_are_replaced_one_by_one_and_never_before_the_new_one_is_ready() -> None:
    old = [machine("a", current=False, age=9), machine("b", current=False, age=8)]
    assert steps(old, 2) == (1, [])
    assert steps([*old, machine("c", ready=False)], 2) == (0, [])
    assert steps([*old, machine("c")], 2) == (0, ["b"])
    assert steps([old[0], machine("c")], 2) == (1, [])
    assert steps([old[0], machine("c"), machine("d")], 2) == (0, ["a"])


def test_machine_names_are_host_names() -> None:
    name = node_plan.machine_name("My Gateway_with.a-very-long-name-indeed", "user-m3-large")
    assert name.startswith("my-gateway-with-a-very-long-na-user-m3-large-")
    assert len(name) <= 63
    assert node_plan.machine_name("g", "low") != node_plan.machine_name("g", "low")


@pytest.fixture
def plane(tmp_path: Path) -> ControlPlane:
    certificates.make_authority("ca", tmp_path / "pki" / "ca.crt", tmp_path / "pki" / "ca.key")
    plane = ControlPlane(name="cluster0", directory=tmp_path, ports=ports.cluster_ports(0))
    plane.prepare()
    return plane


def test_every_program_listens_on_loopback_only_and_shows_no_secret(plane: ControlPlane) -> None:
    for service in plane.services():
        assert "BEGIN" not in " ".join(service.command)
        for flag in service.command:
            if "address" in flag and "advertise-address=192" not in flag:
                assert "127.0.0.1" in flag, flag


def test_keys_are_private_and_prepare_is_repeatable(plane: ControlPlane) -> None:
    before = {path: path.read_bytes() for path in plane.directory.rglob("*") if path.is_file()}
    plane.prepare()
    assert {path: path.read_bytes() for path in plane.directory.rglob("*") if path.is_file()} == before
    for path in before:
        assert path.stat().st_mode & 0o077 == 0, path


def test_prepare_goes_on_where_it_was_killed(plane: ControlPlane) -> None:
    plane.pki("etcd-client.crt").unlink()
    authority = plane.pki("etcd-ca.crt").read_bytes()
    plane.prepare()
    assert plane.pki("etcd-client.crt").exists()
    assert plane.pki("etcd-ca.crt").read_bytes() == authority, "etcd's own certificate is from this one"


def test_a_cluster_without_its_ca_is_told(tmp_path: Path) -> None:
    plane = ControlPlane(name="cluster0", directory=tmp_path, ports=ports.cluster_ports(0))
    with pytest.raises(LabError, match="CA of cluster cluster0"):
        plane.prepare()


def test_kubeconfigs_merge_with_the_newest_current(plane: ControlPlane) -> None:
    configs = [plane.kubeconfig(context="old"), plane.kubeconfig(context="new")]
    merged = merged_kubeconfig(configs)
    assert "current-context: new" in merged
    assert merged.count("cluster: old") == 1
    assert "current-context: ''" in merged_kubeconfig([])


def test_a_report_is_written_only_when_it_changes(tmp_path: Path) -> None:
    folder = Folder(path=tmp_path)
    folder.report(Seen(generation=1))
    first = (tmp_path / "observed.json").stat().st_ino
    folder.report(Seen(generation=1))
    assert (tmp_path / "observed.json").stat().st_ino == first
    folder.report(Seen(generation=2))
    assert folder.seen() == Seen(generation=2)


def test_delays_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "autoscaler.json"
    monkeypatch.setattr(delays, "FILE", file)
    assert delays.read().scale_down == 15
    file.write_text(json.dumps({"scale_down": 600}))
    assert (delays.read().scale_down, delays.read().scale_up) == (600, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [('{"scale_down": -1}', "scale_down"), ('{"patience": 3}', "patience"), ("{", "autoscaler.json")],
)
def test_bad_delays_name_the_key_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    file = tmp_path / "autoscaler.json"
    file.write_text(text)
    monkeypatch.setattr(delays, "FILE", file)
    with pytest.raises(LabError, match=says) as error:
        delays.read()
    assert "scale_up, node_start, scale_down" in str(error.value)
