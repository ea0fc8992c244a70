"""Ports for programs under test."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
OWN = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections (32768 and up, net.ipv4.ip_local_port_range), of which
one may be taken by somebody else's before the program under test has bound it."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on; picked at random, as other tests run beside."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(OWN)  # noqa: S311 - nothing secret
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def free_port() -> int:
    """One such port."""
    [port] = free_ports(1)
    return port
