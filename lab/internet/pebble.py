"""Pebble, the ACME server that Let's Encrypt keeps for tests, as the lab's certificate authority."""

from __future__ import annotations

import contextlib
import json
import socket

from lab import paths
from lab.ports import ACME, HOST, RESOLVER, WEB
from lab.private_files import write_private
from lab.processes import Service

FOLDER = paths.STATE / "pebble"
DAY = 24 * 3600

PROFILES = {
    "default": {"description": "As long as Let's Encrypt's", "validityPeriod": 90 * DAY},
    "short": {"description": "Ten minutes, to see renewals", "validityPeriod": 600},
}
"""Kinds of certificates that may be asked for; a client that asks for none gets the first by name."""


def configuration() -> dict[str, object]:
    """Pebble's configuration."""
    return {
        "pebble": {
            "listenAddress": f"{HOST}:{ACME}",
            "certificate": str(paths.BIN / "pebble-certificate.pem"),
            "privateKey": str(paths.BIN / "pebble-key.pem"),
            "httpPort": WEB,
            "tlsPort": WEB,
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": PROFILES,
        }
    }


def prepare() -> None:
    """Writes the configuration."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_private(FOLDER / "pebble.json", json.dumps(configuration(), indent=1))


def service() -> Service:
    """The process. It keeps accounts in memory: after its restart, clients make theirs anew."""
    return Service(
        name="pebble",
        command=[
            str(paths.BIN / "pebble"),
            f"-config={FOLDER / 'pebble.json'}",
            f"-dnsserver={HOST}:{RESOLVER}",
        ],
        # Without it, Pebble waits up to 15 s before it looks at a challenge.
        environment={"PEBBLE_VA_NOSLEEP": "1"},
        ports=[ACME],
        ready=_listens,
    )


def _listens() -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, ACME), timeout=1):
        return True
    return False
