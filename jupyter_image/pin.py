"""Looks up, once, what the image's build must find again each time, and writes it into sources.toml.

    python -m jupyter_image.pin base | lrose | idv [--release NAME]

A checksum that was computed here only says that later builds get the same file. Whether it is the right file
is for whoever runs this to judge, from a network that can be trusted.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import requests
import tomlkit

from jupyter_image import sources
from jupyter_image.sources import Base, SourceError

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
"""An index first: it names the images of all processors, as `docker pull` reads it."""

SECONDS = 30.0
"""How long a registry may take to answer."""


def registry_digest(base: Base, scheme: str = "https") -> str:
    """The digest of a public image's tag, by the registry's own protocol (OCI Distribution 1.1).

    Args:
        base: the image and its tag.
        scheme: of the registry's address.

    Raises:
        SourceError: if the registry does not answer as it should.
    """
    host, _, name = base.image.partition("/")
    url = f"{scheme}://{host}/v2/{name}/manifests/{base.tag}"
    headers = {"Accept": MANIFESTS}
    try:
        answer = requests.get(url, headers=headers, timeout=SECONDS)
        if answer.status_code == 401:
            # Public images too are read with a token, which anybody gets where this header says.
            asked = dict(re.findall(r'(\w+)="([^"]*)"', answer.headers.get("WWW-Authenticate", "")))
            realm = asked.pop("realm", None)
            if realm is None:
                raise SourceError(f"{url} wants a sign-in that is no token: {base.image} is not public.")
            given = requests.get(realm, params=asked, timeout=SECONDS)
            given.raise_for_status()
            headers["Authorization"] = f"Bearer {given.json()['token']}"
            answer = requests.get(url, headers=headers, timeout=SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise SourceError(
            f"{url} could not be read: {error}. Is {base.tag} a tag of {base.image}?"
        ) from error
    # Computed, not taken from the answer's header: it is the digest of what was read.
    return "sha256:" + hashlib.sha256(answer.content).hexdigest()


def write_digest(file: Path, digest: str) -> None:
    """Writes the base's digest into a sources.toml; all else stays as it is."""
    document = tomlkit.parse(file.read_text())
    document["base"]["digest"] = digest
    file.write_text(tomlkit.dumps(document))


def write_checksum(file: Path, name: str, release: str, checksum: str) -> None:
    """Writes the checksum of a release into a sources.toml; all else stays as it is."""
    document = tomlkit.parse(file.read_text())
    document[name]["sha256"][release] = checksum
    file.write_text(tomlkit.dumps(document))


def main(arguments: Sequence[str] | None = None, file: Path = sources.FILE) -> int:
    """The command line."""
    known = sources.read(file)
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_image.pin", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("name", choices=["base", *known.downloads])
    parser.add_argument("--release", help="another release than sources.toml names; not for base")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.name == "base":
            digest = registry_digest(known.base)
            write_digest(file, digest)
            print(f"{known.base.image}:{known.base.tag} is {digest}")
        else:
            source = known.downloads[chosen.name]
            release = chosen.release or source.release
            with tempfile.TemporaryDirectory() as folder:
                checksum = sources.download(source.url(release), Path(folder) / "file")
            write_checksum(file, chosen.name, release, checksum)
            print(f"{release} has SHA-256 {checksum}")
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
