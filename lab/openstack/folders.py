"""Where OpenStack's configuration, data and virtual environment are."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

from lab import paths

HERE = Path(__file__).resolve().parent

REQUIREMENTS = HERE / "requirements.txt"
INSIDE = HERE / "inside"
"""The code of ours that runs inside OpenStack's processes; put on their PYTHONPATH."""

ROOT = paths.STATE / "openstack"
ETC = ROOT / "etc"
DATA = ROOT / "data"
"""One folder per service: images, keys, lock files."""

MARIADB = ROOT / "mariadb"
SOCKET = ROOT / "mariadb.sock"
SCRATCH = ROOT / "scratch"
SCRATCH_SOCKET = ROOT / "scratch.sock"
"""Where the migrations run that make the databases for the cache."""

PASSWORDS = ROOT / "passwords.json"


def environment() -> Path:
    """The virtual environment of the services: one per set of pins, Python and machine."""
    ingredients = "\n".join(
        [
            pins(),
            sys.base_prefix,
            sys.version,
            platform.machine(),
        ]
    )
    return paths.cache() / f"openstack-{hashlib.sha256(ingredients.encode()).hexdigest()[:16]}"


def pins() -> str:
    """The packages and versions of requirements.txt, one a line, without what does not change them."""
    lines = REQUIREMENTS.read_text().splitlines()
    return "\n".join(line.split()[0] for line in lines if "==" in line and not line.startswith("#"))


def python() -> Path:
    """The Python of the virtual environment."""
    return environment() / "bin" / "python"
