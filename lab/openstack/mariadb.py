"""MariaDB as the lab runs it: a server of its own on a data folder, reached by a socket only."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

from lab.errors import LabError
from lab.openstack.commands import find_program
from lab.processes import Service

SOCKET_PATH_LIMIT = 107
"""Bytes the kernel takes for a socket's path."""

PROTOCOL_VERSION = 10
"""The fifth byte of the greeting with which a server that is ready meets every connection."""


def user() -> str:
    """The account in the database: MariaDB knows a process of this machine's user by the socket."""
    return pwd.getpwuid(os.getuid()).pw_name


def program(name: str) -> str:
    """The path of one of MariaDB's programs; where Debian has it if it is not installed yet."""
    return str(find_program(name) or Path("/usr/sbin") / name)


def as_root() -> list[str]:
    """The option without which MariaDB refuses to run as root, where the lab does."""
    return ["--user=root"] if os.geteuid() == 0 else []


def server(name: str, data: Path, at: Path) -> Service:
    """The server on a data folder.

    Args:
        name: of the service.
        data: the data folder, already initialised.
        at: the socket's path.
    """
    return Service(
        name=name,
        command=[
            program("mariadbd"),
            "--no-defaults",
            *as_root(),
            f"--datadir={data}",
            f"--socket={at}",
            f"--pid-file={data / 'mariadb.pid'}",
            "--skip-networking",
            "--max-connections=300",
            "--innodb-buffer-pool-size=64M",
            # Every commit reaches the kernel, so a killed process loses nothing; only the machine's
            # own failure may cost the last second, which spares each commit a wait for the disk.
            "--innodb-flush-log-at-trx-commit=2",
            "--performance-schema=off",
        ],
        ready=lambda: greets(at),
    )


def check_socket(at: Path) -> None:
    """Raises LabError if a socket's path is longer than the kernel allows."""
    length = len(os.fsencode(at))
    if length > SOCKET_PATH_LIMIT:
        raise LabError(
            f"The path of MariaDB's socket, {at}, has {length} bytes and may have {SOCKET_PATH_LIMIT}: "
            "move this checkout to a shorter path."
        )


def greets(at: Path) -> bool:
    """Does a server answer at a socket? (A socket left behind by a killed one does not.)"""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(at))
            greeting = connection.recv(5)
        except OSError:
            return False
    return len(greeting) == 5 and greeting[4] == PROTOCOL_VERSION
