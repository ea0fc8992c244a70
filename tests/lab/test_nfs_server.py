"""The shared drive's configuration, in a real NFS Ganesha with a container's capabilities, by a real client.

Debian's packages nfs-ganesha-vfs, libnfs-utils and util-linux have all that is needed. They are not the
container's image: its Ganesha may be of another version.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.shared_drive import EXPORT, NFS_PORT, PREPARE, ganesha
from lab.ports import HOST
from tests.free_ports import free_port
from tests.lab import debian_packages

TOOLS = ("ganesha.nfsd", "nfs-ls", "nfs-cat", "nfs-cp", "setpriv")
PACKAGES = ("nfs-ganesha-vfs", "libnfs-utils")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="a file server opens others' files: needs root"),
]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Server and client are there."""
    debian_packages.ensure(TOOLS, PACKAGES)


CONTAINERS = [
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
]
"""The capabilities of a container that says nothing of them."""

ADDED = ["dac_read_search"]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What is served, prepared by the init container's script."""
    made = tmp_path / "export"
    made.mkdir()
    subprocess.run(["/bin/sh", "-c", PREPARE.replace(EXPORT, str(made))], check=True)
    (made / "raw" / "sweep").write_text("data")
    return made


@contextlib.contextmanager
def serving(folder: Path, *, writable: bool) -> Iterator[Callable[[str], str]]:
    """The server, for the length of the block; gives the address of a path."""
    port = free_port()
    recovery = folder / "recovery"
    recovery.mkdir()
    text = ganesha(writable=writable)
    for ours, here in (
        (f"Path = {EXPORT};", f"Path = {folder / 'export'};"),
        (f"NFS_Port = {NFS_PORT};", f"NFS_Port = {port}; Bind_addr = {HOST};"),
        # Nobody has files open from before that he could ask back for.
        ("Lease_Lifetime = 20;", f"Lease_Lifetime = 1; RecoveryRoot = {recovery};"),
        ("Grace_Period = 30;", "Grace_Period = 1;"),
    ):
        assert ours in text
        text = text.replace(ours, here)
    configuration, log = folder / "ganesha.conf", folder / "ganesha.log"
    configuration.write_text(text)
    kept = ",".join(f"+{capability}" for capability in [*CONTAINERS, *ADDED])
    command = [
        "setpriv",
        f"--bounding-set=-all,{kept}",
        "ganesha.nfsd",
        "-F",
        f"-L{log}",
        f"-f{configuration}",
        f"-p{folder / 'pid'}",
        "-NNIV_EVENT",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(server, port, log)
            yield lambda path: f"nfs://{HOST}{path}?version=4&nfsport={port}"
        finally:
            server.terminate()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            break
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    time.sleep(2)  # the grace period


def client(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_the_folder_that_the_tutorials_expect_is_there(export: Path) -> None:
    raw = export / "raw"
    assert (raw.stat().st_uid, raw.stat().st_gid, raw.stat().st_mode & 0o7777) == (1000, 100, 0o2775)


def test_a_drive_for_reading_is_read_and_not_written(tmp_path: Path, export: Path) -> None:
    with serving(tmp_path, writable=False) as address:
        assert client("nfs-cat", address("/raw/sweep")).stdout == "data"
        refused = client("nfs-cp", str(tmp_path / "ganesha.conf"), address("/raw/mine"))
        assert "NFS4ERR_ROFS" in refused.stdout + refused.stderr
        (export / "raw" / "next").write_text("by the operator, in the server's pod")
        assert "next" in client("nfs-ls", address("/raw")).stdout
    assert not (export / "raw" / "mine").exists()


def test_a_drive_for_writing_keeps_all_as_jupyters_user(tmp_path: Path, export: Path) -> None:
    with serving(tmp_path, writable=True) as address:
        done = client("nfs-cp", str(tmp_path / "ganesha.conf"), address("/raw/mine"))
        assert done.returncode == 0, done.stderr
    written = (export / "raw" / "mine").stat()
    assert (written.st_uid, written.st_gid) == (1000, 100), "the client was root"
