"""What the image is built from that no package index serves: sources.toml, its files fetched and checked.

Runs inside the image's build too, by the base image's Python and alone beside sources.toml: standard library
only, no import of this project.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

FILE = Path(__file__).with_name("sources.toml")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CHECKSUM = re.compile(r"[0-9a-f]{64}")

READ_SECONDS = 120.0
"""How long the other side may say nothing."""

CHUNK = 1 << 20
"""Bytes read at a time."""


class SourceError(Exception):
    """A build that must not go on; the text names what is missing or wrong, and the cure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """The image that ours is built on.

    Attributes:
        image: registry and name.
        tag: a dated tag, for people.
        digest: ``sha256:…``, which decides; None until someone with a network has looked it up.
    """

    image: str
    tag: str
    digest: str | None

    @property
    def reference(self) -> str:
        """What ``FROM`` gets.

        Raises:
            SourceError: if there is no digest.
        """
        if self.digest is None:
            raise SourceError(
                f"sources.toml has no digest for {self.image}:{self.tag}. Run "
                f"`python -m jupyter_image.pin base` on a machine that reaches "
                f"{self.image.partition('/')[0]}, and commit the change."
            )
        return f"{self.image}:{self.tag}@{self.digest}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """A file that the build fetches.

    Attributes:
        name: its table in sources.toml.
        release: the one to build, unless the build is told another.
        address: where it is; ``{release}`` stands for the release.
        sha256: checksums by release, in hexadecimal digits.
    """

    name: str
    release: str
    address: str
    sha256: Mapping[str, str]

    def url(self, release: str) -> str:
        """The address of a release."""
        return self.address.replace("{release}", release)

    def checksum(self, release: str) -> str:
        """The SHA-256 that a release must have.

        Raises:
            SourceError: if none is known.
        """
        if release not in self.sha256:
            raise SourceError(
                f"sources.toml has no sha256 for {self.name} {release}, so it is not installed. "
                f"Run `python -m jupyter_image.pin {self.name} --release {release}` on a machine that "
                f"reaches {self.url(release).split('/')[2]}, and commit the change."
            )
        return self.sha256[release]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """All of sources.toml."""

    base: Base
    downloads: Mapping[str, Download]


def read(file: Path = FILE) -> Sources:
    """Reads a sources.toml.

    Raises:
        SourceError: if a digest or checksum is none.
    """
    tables = tomllib.loads(file.read_text())
    base = tables.pop("base")
    digest = base.get("digest")
    if digest is not None and not DIGEST.fullmatch(digest):
        raise SourceError(
            f"{file.name}: base.digest is {digest!r}; it must be sha256: and 64 hexadecimal digits."
        )
    downloads = {name: Download(name=name, **table) for name, table in tables.items()}
    for name, download in downloads.items():
        for release, checksum in download.sha256.items():
            if not CHECKSUM.fullmatch(checksum):
                raise SourceError(
                    f"{file.name}: {name}.sha256 of {release} is {checksum!r}; it must be 64 hexadecimal "
                    "digits."
                )
    return Sources(base=Base(image=base["image"], tag=base["tag"], digest=digest), downloads=downloads)


def download(url: str, target: Path) -> str:
    """Fetches a file.

    Args:
        url: its address.
        target: where it goes.

    Returns:
        its SHA-256 in hexadecimal digits.

    Raises:
        SourceError: if it cannot be fetched; the target is then absent.
    """
    total = hashlib.sha256()
    try:
        # Addresses are those of sources.toml, which is reviewed like code.
        with urllib.request.urlopen(url, timeout=READ_SECONDS) as answer, target.open("wb") as out:  # noqa: S310
            while chunk := answer.read(CHUNK):
                total.update(chunk)
                out.write(chunk)
            expected = answer.headers.get("Content-Length")
            if expected is not None and out.tell() != int(expected):
                raise SourceError(f"{url} ended after {out.tell()} of {expected} bytes. Try again.")
    except (OSError, SourceError) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, SourceError):
            raise
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SourceError(
            f"{url} could not be fetched: {reason}. Try again, or from another network."
        ) from error
    return total.hexdigest()


def fetch(source: Download, release: str, target: Path) -> None:
    """Fetches a release and checks it.

    Raises:
        SourceError: if no checksum is known, or the file has another; the target is then absent.
    """
    expected = source.checksum(release)
    actual = download(source.url(release), target)
    if actual != expected:
        target.unlink()
        raise SourceError(
            f"{source.url(release)} has SHA-256 {actual}, but sources.toml says {expected}: not installed. "
            "Either the release was changed after it was pinned, which its makers can explain, or something "
            "between here and there changes files."
        )


def require_digest(reference: str) -> None:
    """Refuses a base image that can change under its name.

    Raises:
        SourceError: if the reference has no digest.
    """
    if not DIGEST.fullmatch(reference.rpartition("@")[2]):
        raise SourceError(
            f"BASE_IMAGE is {reference!r}, which has no digest and can change under its name. Build with "
            "`docker buildx build $(python -m jupyter_image.sources build-arguments) … jupyter_image`."
        )


def buildable_release(source: Download) -> str:
    """The release that is built unless the build is told another.

    Raises:
        SourceError: if its checksum is not known.
    """
    source.checksum(source.release)
    return source.release


def build_arguments(sources: Sources) -> str:
    """The arguments of ``docker buildx build`` that fix what is built.

    Raises:
        SourceError: if the base has no digest, or a release no checksum.
    """
    releases = {name: buildable_release(source) for name, source in sources.downloads.items()}
    return f"--build-arg BASE_IMAGE={sources.base.reference} --build-arg LROSE_RELEASE={releases['lrose']}"


def _parser() -> argparse.ArgumentParser:
    title = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m jupyter_image.sources", description=title)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build-arguments", help="print the arguments of `docker buildx build`")
    commands.add_parser("base", help="print the base image with its digest")
    release = commands.add_parser("release", help="print the release that is built")
    release.add_argument("name")
    digest = commands.add_parser("require-digest", help="refuse a base image without a digest")
    digest.add_argument("reference")
    get = commands.add_parser("fetch", help="fetch a release and check it")
    get.add_argument("name")
    get.add_argument("--release", default="", help="another release than sources.toml names")
    get.add_argument("--into", type=Path, required=True, help="the file to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    chosen = _parser().parse_args(arguments)
    try:
        match chosen.command:
            case "require-digest":
                require_digest(chosen.reference)
            case "build-arguments":
                print(build_arguments(read()))
            case "base":
                print(read().base.reference)
            case "release":
                print(buildable_release(_named(read(), chosen.name)))
            case "fetch":
                source = _named(read(), chosen.name)
                fetch(source, chosen.release or source.release, chosen.into)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _named(sources: Sources, name: str) -> Download:
    if name not in sources.downloads:
        raise SourceError(f"sources.toml has no {name!r}; it has {', '.join(sources.downloads)}.")
    return sources.downloads[name]


if __name__ == "__main__":
    sys.exit(main())
