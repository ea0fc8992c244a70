"""``python -m lab_inside.serve NAME PORT --database SOCKET [--after HOST:PORT]... [OPTION]...``.

Runs one service in one process; what is not for this module is an option of the service. Its
configuration is global to the process, so each service needs one of its own; within it the API, the
conductor, the scheduler and the rest are threads that talk over oslo.messaging's in-memory transport.
"""

from __future__ import annotations

import argparse
import importlib
import socket
import sys
import time

import waitress

HOST = "127.0.0.1"

APPLICATIONS = {
    "keystone": "lab_inside.keystone_service",
    "placement": "placement.wsgi.api",
    "glance": "glance.wsgi.api",
    "neutron": "lab_inside.neutron_service",
    "nova": "lab_inside.nova_services",
    "magnum": "lab_inside.magnum_services",
    "cinder": "lab_inside.cinder_services",
    "designate": "lab_inside.designate_services",
}
"""The module of each service: it has an ``application``, ours also a ``start`` for what runs beside it."""

THREADS = {
    "keystone": 1,
    "placement": 1,
    "glance": 3,
    "neutron": 6,
    "nova": 8,
    "magnum": 4,
    "cinder": 4,
    "designate": 4,
}
"""Requests answered at the same time. Nova waits for the others, so it has the most.

Keystone is written for one: its middleware keeps the token of the request at hand in an attribute, so that
with two threads one user's request was answered with another's roles. Placement is deployed likewise.
Both answer in milliseconds and wait for no other service.
"""

LARGEST_BODY = 16 << 30
"""Bytes of an image upload."""


def main() -> None:
    """Waits for what the service needs, starts its workers and serves its API until it is stopped."""
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("name", choices=APPLICATIONS)
    parser.add_argument("port", type=int)
    parser.add_argument("--database", required=True, help="the socket of the database")
    parser.add_argument("--after", action="append", default=[], help="host:port of a service to wait for")
    asked, options = parser.parse_known_args()
    # The services parse sys.argv when they are imported: leave them their own options only.
    sys.argv = [asked.name, *options]
    wait_for(asked.database)
    module = importlib.import_module(APPLICATIONS[asked.name])
    for place in asked.after:
        wait_for(place)
    if hasattr(module, "start"):
        module.start()
    waitress.serve(
        module.application,
        listen=f"{HOST}:{asked.port}",
        threads=THREADS[asked.name],
        ident=None,
        channel_timeout=300,
        max_request_body_size=LARGEST_BODY,
    )


def wait_for(place: str) -> None:
    """Waits, for as long as it takes, until something accepts connections at host:port or a socket."""
    while not accepts(place):
        time.sleep(0.1)


def accepts(place: str) -> bool:
    """Does something accept connections at host:port, or at the path of a socket?"""
    family = socket.AF_UNIX
    target: str | tuple[str, int] = place
    if not place.startswith("/"):
        host, _, port = place.rpartition(":")
        family, target = socket.AF_INET, (host, int(port))
    with socket.socket(family) as connection:
        connection.settimeout(2)
        try:
            connection.connect(target)
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main()
