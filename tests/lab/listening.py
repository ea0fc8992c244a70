"""Where the lab listens."""

from __future__ import annotations

import psutil

from lab import processes


def listening_addresses() -> set[str]:
    """The addresses on which any process of the lab, or a child of one, accepts TCP connections."""
    return {
        connection.laddr.ip
        for name in processes.known()
        if (process := processes.find(name))
        for member in [process, *process.children(recursive=True)]
        for connection in member.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
