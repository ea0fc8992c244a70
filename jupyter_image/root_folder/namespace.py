"""A command inside a root folder made of layers, in namespaces of its own."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ENTER = Path(__file__).with_name("enter.sh")
TOOLS = ("setpriv", "unshare", "mount", "chroot", "mmdebstrap")

NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
"""What tells programs inside how this machine reaches package registries."""

NETWORK_VARIABLES = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE"),
)


class RootFolderError(Exception):
    """The root folder cannot be made or entered; the text says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mount:
    """Something that is seen inside.

    Attributes:
        source: a path of this machine, or one within ``layers``.
        target: where it is seen.
        layers: of another root folder, topmost first; none for this machine.
        writable: whether it can be changed from inside.
    """

    source: str
    target: str
    layers: tuple[Path, ...] = ()
    writable: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inside:
    """Where a command runs.

    Attributes:
        layers: of the root folder, topmost first.
        user: user and group, as in ``1000:100``.
        environment: all that the command gets.
        mounts: what is seen inside beside the layers.
        upper: takes what is written; None for memory, which is forgotten.
    """

    layers: tuple[Path, ...]
    user: str
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...] = ()
    upper: Path | None = None


def unable() -> str | None:
    """Why no root folder can be made here, in words; None if one can."""
    if os.geteuid() != 0:
        return "only root can mount a root folder"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "layer"
        for name in ("bin", "dev", "proc"):
            (layer / name).mkdir(parents=True)
        probe = ["unshare", "--mount", "--pid", "--fork", "bash", "-euc"]
        text = (
            'mount --make-rprivate / && mount -t tmpfs none "$1" && mkdir "$1/u" "$1/w" "$1/r" && '
            'mount -t overlay -o "lowerdir=$2,upperdir=$1/u,workdir=$1/w" none "$1/r"'
        )
        work = Path(folder) / "work"
        work.mkdir()
        answer = subprocess.run(
            [*probe, text, "bash", str(work), str(layer)], capture_output=True, text=True, check=False
        )
    return None if answer.returncode == 0 else f"mounts are refused here: {answer.stderr.strip()}"


def network_mounts() -> tuple[Mount, ...]:
    """This machine's way to package registries, for commands that install."""
    return tuple(Mount(source=file, target=file) for file in NETWORK_FILES if Path(file).is_file())


def network_environment() -> dict[str, str]:
    """The variables that go with :func:`network_mounts`."""
    return {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}


@contextmanager
def started(
    inside: Inside, command: Sequence[str], output: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A running command, whose namespaces end with it, or here at the latest.

    Args:
        inside: where it runs.
        command: program and arguments; never a secret, which goes into the environment.
        output: file descriptor for what it prints; None for this process's own.
    """
    with tempfile.TemporaryDirectory(prefix="root-folder-") as work:
        process = subprocess.Popen(
            [*_unshare(inside, Path(work)), *command],
            env=dict(inside.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            text=True,
        )
        try:
            yield process
        finally:
            # The first process inside dies with this one, and takes the namespace's others along.
            process.kill()
            process.wait()


def run(inside: Inside, command: Sequence[str], log: Path) -> int:
    """Runs a command to its end; what it prints is appended to a file.

    Returns:
        its exit status.
    """
    with log.open("a") as out, started(inside, command, out.fileno()) as process:
        return process.wait()


def _unshare(inside: Inside, work: Path) -> list[str]:
    mounts: list[str] = []
    for mount in inside.mounts:
        layers = ":".join(map(str, mount.layers)) or "-"
        mounts += [layers, mount.source, mount.target, "rw" if mount.writable else "ro"]
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", str(ENTER)),
        *(str(work), ":".join(map(str, inside.layers)), str(inside.upper or "-"), inside.user),
        *("--", *mounts, "--"),
    ]
