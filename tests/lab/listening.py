"""Where the lab listens."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import psutil

from lab import processes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where something can be reached: ``tcp`` or ``udp``, address and port."""

    protocol: str
    address: str
    port: int


def listening() -> set[Place]:
    """Where any process of the lab, or a child of one, accepts connections or takes datagrams."""
    # UDP knows no listening: a client has a socket like a server's, but its port is one of those for clients.
    clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    places = set()
    for name in processes.known():
        process = processes.find(name)
        for member in [process, *process.children(recursive=True)] if process else []:
            for connection in member.net_connections(kind="inet"):
                if not connection.laddr:
                    continue
                address, port = connection.laddr
                if connection.status == psutil.CONN_LISTEN:
                    places.add(Place(protocol="tcp", address=address, port=port))
                elif connection.type == socket.SOCK_DGRAM and port < clients:
                    places.add(Place(protocol="udp", address=address, port=port))
    return places


def listening_addresses() -> set[str]:
    """The addresses of those places."""
    return {place.address for place in listening()}
