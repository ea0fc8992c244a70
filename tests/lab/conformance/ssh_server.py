"""A real SSH server on loopback that lets one key in."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lab.ports import HOST
from tests.free_ports import free_port
from tests.lab import debian_packages


@dataclasses.dataclass(frozen=True, kw_only=True)
class SshServer:
    """An SSH server.

    Attributes:
        user: the only user it lets in.
        host_key: what it shows, as a known_hosts file would have it.
        other_key: a host key that it does not have.
        private_key: opens it.
        private_key_file: the same, in a file.
        encrypted_key: opens it too, after the passphrase ``open sesame``.
    """

    port: int
    user: str
    host_key: str
    other_key: str
    private_key: str
    private_key_file: Path
    encrypted_key: str


class Sshd:
    """An SSH server that can be started late."""

    def __init__(self, folder: Path) -> None:
        debian_packages.ensure([str(_SSHD)], ["openssh-server"])
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        keys = {name: _key(folder / name, phrase) for name, phrase in _KEYS.items()}
        port = free_port()
        authorized = folder / "authorized_keys"
        authorized.write_text("".join((folder / f"{name}.pub").read_text() for name in ("user", "encrypted")))
        (folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress {HOST}\nHostKey {folder / 'host'}\nPidFile none\n"
            f"AuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nAcceptEnv GREETING PULUMI_COMMAND_*\n"
            "Subsystem sftp internal-sftp\n"
        )
        self.server = SshServer(
            port=port,
            user=getpass.getuser(),
            host_key=(folder / "host.pub").read_text(),
            other_key=(folder / "other.pub").read_text(),
            private_key=keys["user"],
            private_key_file=folder / "user",
            encrypted_key=keys["encrypted"],
        )

    def start(self) -> None:
        """Starts it and waits until it listens."""
        # Its child processes need this folder, which Debian's own service makes.
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [str(_SSHD), "-D", "-e", "-f", str(self._folder / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("wb"),
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.server.port), 1):
                return
            time.sleep(0.1)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        """Stops it, if it runs."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)


_SSHD = Path("/usr/sbin/sshd")

_KEYS = {"host": "", "other": "", "user": "", "encrypted": "open sesame"}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[SshServer]:
    """An SSH server, for the length of the block."""
    sshd = Sshd(folder)
    sshd.start()
    try:
        yield sshd.server
    finally:
        sshd.stop()


def _key(path: Path, phrase: str) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(path)], check=True)
    return path.read_text()
