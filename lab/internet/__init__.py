"""What is around the cloud: a certificate authority, and the way from a host name into a cluster."""

from __future__ import annotations

import sys

from lab import paths, processes
from lab.internet import pebble
from lab.ports import HOST, RESOLVER, WEB


def services() -> list[processes.Service]:
    """The web with its name server, and the authority that asks it."""
    web = processes.Service(
        name="web",
        command=[sys.executable, "-m", "lab.internet.service"],
        environment={"NO_PROXY": HOST, "no_proxy": HOST},
        ports=[WEB, RESOLVER],
        ready=processes.answers_http(WEB),
        directory=paths.PROGRAM,
    )
    return [web, pebble.service()]


def prepare() -> None:
    """Writes the authority's configuration."""
    pebble.prepare()
