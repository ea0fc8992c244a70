"""Debian's packages that tests need, installed where they may be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.debian import apt_get


def ensure(programs: Sequence[str], packages: Sequence[str]) -> None:
    """Makes sure that programs are there; installs the packages that have them if one is missing.

    Raises:
        AssertionError: if they are missing and may not be installed here; the text says what to install.
    """
    if all(shutil.which(program) or Path(program).exists() for program in programs):
        return
    names = " ".join(packages)
    # Where services are managed, Debian's package would start them, open to the network.
    managed = Path("/run/systemd/system").exists()
    assert not managed and os.geteuid() == 0, f"install Debian's {names} for these tests"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--no-install-recommends", "-y", *packages]):
        subprocess.run(apt_get("-q", *command), env=quiet, check=True, stdout=subprocess.DEVNULL)
