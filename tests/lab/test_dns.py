"""The lab's Designate, and the gateway's record and address made in it by the real engine and provider."""

from __future__ import annotations

import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pulumi_openstack
import pytest
from openstack.connection import Connection
from openstack.exceptions import ForbiddenException, HttpException

from components.dns_record import DnsRecord, DnsRecordArgs
from components.floating_address import FloatingAddress, FloatingAddressArgs
from lab import paths
from lab.openstack.contents import ZONE
from lab.ports import HOST, NAME_SERVER
from tests.lab.conformance.stacks import RunFailed, Stack

A, AAAA = 1, 28
DESCRIPTION = "made by tests/lab/test_dns.py"


def answer(name: str, kind: int = A) -> list[str]:
    """What the name server says: IPv4 addresses, none if it has no such record."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = labels + b"\0" + struct.pack("!HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(5)
        wire.sendto(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + question, (HOST, NAME_SERVER))
        message = wire.recv(4096)
    (count,) = struct.unpack_from("!H", message, 6)
    position, found = 12 + len(question), []
    for _ in range(count):
        # A name is a pointer back to the question, then type, class, time to live and length.
        (length,) = struct.unpack_from("!H", message, position + 10)
        found.append(socket.inet_ntoa(message[position + 12 : position + 12 + length]))
        position += 12 + length
    return found


def wait_for(look: Callable[[], Any], wanted: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"saw {seen!r} instead of {wanted!r} for {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def zone(cloud: Connection) -> Any:
    """The project's zone."""
    (found,) = [zone for zone in cloud.dns.zones() if zone.name == ZONE]
    return found


@pytest.fixture(scope="module")
def host() -> str:
    """A host name in that zone that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:8]}.{ZONE.rstrip('.')}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, lab_environment: dict[str, str]) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("dns")
    variables = {
        **lab_environment,
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "OS_CLIENT_CONFIG_FILE": str(paths.CLOUDS_YAML),
    }
    stack = Stack("dns", folder, variables)
    yield stack
    stack.empty()


def program(
    zone_id: str, host: str, address: str | None = None, *, protect: bool = False
) -> Callable[[], None]:
    """The gateway's address and record; the record may name another address."""

    def declare() -> None:
        cloud = pulumi.ResourceOptions(providers=[pulumi_openstack.Provider("cloud", cloud="lab")])
        reserved = FloatingAddress(
            "address",
            FloatingAddressArgs(external_network="public", description=DESCRIPTION, protect=protect),
            cloud,
        )
        DnsRecord(
            "dns", DnsRecordArgs(zone_id=zone_id, host=host, address=address or reserved.address), cloud
        )
        pulumi.export("address", reserved.address)

    return declare


def addresses(cloud: Connection) -> list[str]:
    return [each.floating_ip_address for each in cloud.network.ips(description=DESCRIPTION)]


def test_the_project_has_a_zone_of_its_own(cloud: Connection, zone: Any) -> None:
    assert (zone.status, zone.project_id) == ("ACTIVE", cloud.current_project_id)
    with pytest.raises((ForbiddenException, HttpException)):
        cloud.dns.create_zone(name=f"a.{ZONE}", email="no address")


def test_address_and_record_are_made_and_answered(
    stack: Stack, cloud: Connection, zone: Any, host: str
) -> None:
    assert answer(host) == []
    run = stack.up(program(zone.id, host))
    assert addresses(cloud) == [run.outputs["address"]]
    # At once: the provider waits until the record is ACTIVE.
    assert answer(host) == [run.outputs["address"]]
    assert answer(host, AAAA) == []


def test_a_second_preview_changes_nothing(stack: Stack, zone: Any, host: str) -> None:
    assert stack.preview(program(zone.id, host)).operations == {}


def test_another_address_changes_the_record_in_place(stack: Stack, zone: Any, host: str) -> None:
    run = stack.up(program(zone.id, host, "203.0.113.250"))
    assert run.operations == {"dns": ["update"], "dns-record": ["update"]}
    assert answer(host) == ["203.0.113.250"]


def test_a_record_of_a_stranger_is_not_taken_over(stack: Stack, cloud: Connection, zone: Any) -> None:
    theirs = f"stranger-{uuid.uuid4().hex[:8]}.{ZONE}"
    made = cloud.dns.create_recordset(zone, name=theirs, type="A", records=["203.0.113.9"])
    try:
        with pytest.raises(RunFailed, match=r"409|already exists|[Dd]uplicate"):
            stack.up(program(zone.id, theirs.rstrip(".")))
        wait_for(lambda: answer(theirs), ["203.0.113.9"])
    finally:
        cloud.dns.delete_recordset(made, zone)


def test_nothing_of_both_stays_behind(stack: Stack, cloud: Connection, zone: Any, host: str) -> None:
    stack.up(program(zone.id, host))
    stack.empty()
    assert addresses(cloud) == []
    assert [each.name for each in cloud.dns.recordsets(zone) if each.name == f"{host}."] == []
    wait_for(lambda: answer(host), [])


def test_a_protected_address_is_kept_and_named(stack: Stack, cloud: Connection, zone: Any, host: str) -> None:
    run = stack.up(program(zone.id, host, protect=True))
    with pytest.raises(RunFailed, match="address-floating-ip"):
        stack.empty()
    assert addresses(cloud) == [run.outputs["address"]]
    stack.up(program(zone.id, host))
