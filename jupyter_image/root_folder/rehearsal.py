"""The image with stand-ins for what cannot be fetched, and the way into it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jupyter_image.root_folder import build, stand_ins
from jupyter_image.root_folder.build import Built, StandIn
from jupyter_image.root_folder.layers import key_of
from jupyter_image.root_folder.namespace import Inside, Mount

RELEASE = "lrose-core-20260425"
ARGUMENTS = {"BASE_IMAGE": f"localhost/debian:13@sha256:{'0' * 64}", "LROSE_RELEASE": RELEASE}
HOME = "/home/jovyan"
ENTRY_POINT = ("tini", "-g", "--", "start.sh")


def image() -> Built:
    """The Dockerfile carried out; LROSE and IDV are stand-ins, fetched and checked as the real ones are.

    Raises:
        RootFolderError: if a step fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = stand_ins.checksum(stand_ins.debian_package(folder))
        archive = stand_ins.checksum(stand_ins.viewer_archive(folder))
        with stand_ins.served(folder) as address:
            file = stand_ins.sources(folder, address, package, archive)
            return build.image(ARGUMENTS, {"sources.toml": StandIn(path=file, key=key_of(package, archive))})


def as_user(built: Built, home: Path, **environment: str) -> Inside:
    """Where a user's server runs: the home is a folder of this machine, all else is forgotten afterwards.

    Args:
        built: the image.
        home: a folder that belongs to user 1000.
        environment: what the hub adds to the image's own.
    """
    return Inside(
        layers=built.layers.folders,
        user=built.user,
        environment={**built.environment, **environment},
        mounts=(Mount(source=str(home), target=HOME, writable=True),),
    )
