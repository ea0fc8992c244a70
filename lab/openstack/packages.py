"""Installing what the lab's OpenStack needs: MariaDB from Debian, the services from PyPI."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab import cached, paths
from lab.debian import apt_get
from lab.errors import LabError
from lab.openstack import folders
from lab.openstack.commands import find_program, run
from lab.progress import step

DEBIAN_PACKAGES = ["mariadb-server-core", "mariadb-client-core"]
"""The server and its tools without the package that would start a server of its own."""


def install() -> None:
    """Installs MariaDB and the virtual environment of the services, and links the ``openstack`` command.

    Raises:
        LabError: if a package cannot be installed.
    """
    install_mariadb()
    install_services()
    link(folders.environment() / "bin" / "openstack", paths.BIN / "openstack")


def install_mariadb() -> None:
    """Installs MariaDB's server by apt unless it is there.

    Raises:
        LabError: if it is absent and cannot be installed.
    """
    if find_program("mariadbd") and find_program("mariadb-install-db"):
        return
    by_hand = f"apt-get install --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"
    if os.geteuid() != 0 or find_program("apt-get") is None:
        raise LabError(f"MariaDB's server (mariadbd) is not installed. As root: {by_hand}")
    with step("MariaDB from Debian"):
        silent = {"DEBIAN_FRONTEND": "noninteractive"}
        run(apt_get("update", "-qq"), "apt-update", silent, may_outlive_lab=True)
        run(
            apt_get("install", "-y", "-qq", "--no-install-recommends", *DEBIAN_PACKAGES),
            "apt-install",
            silent,
            may_outlive_lab=True,
        )


def install_services() -> None:
    """Makes the virtual environment of the services unless the cache has it.

    Raises:
        LabError: if pip fails.
    """
    cached.ensure(folders.environment(), _make_environment)


def _make_environment(folder: Path) -> None:
    with step("OpenStack's services from PyPI (once per set of pins)"):
        run([sys.executable, "-m", "venv", "--without-pip", str(folder)], "openstack-venv")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
        run([*pip, "install", *options, "--requirement", str(folders.REQUIREMENTS)], "openstack-pip")


def link(target: Path, name: Path) -> None:
    """Points a symbolic link at a target, replacing one that points elsewhere in a single step."""
    name.parent.mkdir(parents=True, exist_ok=True)
    aside = name.with_name(f".{name.name}.new")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.rename(name)
