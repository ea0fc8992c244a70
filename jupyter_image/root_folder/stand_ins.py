"""Small files in the place of what the image's build downloads, and a loopback web server that has them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MADE = 1760000000
"""The time in archives: the same each time, so that the same files come out."""

CONTROL = """\
Package: lrose-core
Version: 20260425
Architecture: amd64
Maintainer: Science gateway's tests <nobody@localhost>
Depends: libbz2-1.0, zlib1g
Description: stands in for the LROSE suite where its release cannot be fetched
"""
PROGRAM = '#!/bin/sh\necho "$(basename "$0") stands in for the real one"\n'


def debian_package(folder: Path) -> Path:
    """A package that has LROSE's two best known programs, as scripts, where LROSE has them."""
    tree = folder / "lrose"
    for file in ("usr/local/lrose/bin/HawkEye", "usr/local/lrose/bin/RadxConvert"):
        program = tree / file
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PROGRAM)
        program.chmod(0o755)
    (tree / "usr/local/lrose/lib").mkdir()
    control = tree / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(CONTROL)
    package = folder / "lrose.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(MADE)}
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return package


def viewer_archive(folder: Path) -> Path:
    """An archive like IDV's: one folder with the version in its name, a start script, a Java beside it."""
    archive = folder / "IDV.tar.bz2"
    with tarfile.open(archive, "w:bz2") as tar:
        for name in ("IDV_6.3/runIDV", "IDV_6.3/jre/bin/java"):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(PROGRAM), 0o755, MADE
            tar.addfile(entry, io.BytesIO(PROGRAM.encode()))
    return archive


def checksum(file: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A web server of a folder on a free loopback port; gives its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def sources(folder: Path, address: str, package_checksum: str, archive_checksum: str) -> Path:
    """A sources.toml of the stand-ins, in the form of the real one."""
    file = folder / "sources.toml"
    file.write_text(f"""\
[base]
image = "localhost/debian"
tag = "13"
digest = "sha256:{"0" * 64}"

[lrose]
release = "lrose-core-20260425"
address = "{address}/lrose.deb"

[lrose.sha256]
"lrose-core-20260425" = "{package_checksum}"

[idv]
release = "IDV_6.3"
address = "{address}/IDV.tar.bz2"

[idv.sha256]
"IDV_6.3" = "{archive_checksum}"
""")
    return file
