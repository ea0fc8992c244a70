"""The lab that these tests run against: the real one, brought up if it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import openstack
import pytest
from openstack.connection import Connection

from lab import environment, paths


@pytest.fixture(scope="session")
def lab_up() -> None:
    """The rehearsal cloud is up."""
    subprocess.run([sys.executable, "-m", "lab", "up"], check=True, cwd=paths.PROGRAM)


@pytest.fixture(scope="session")
def lab_environment(lab_up: None) -> dict[str, str]:
    """The environment that ``python -m lab env`` prints, on top of this process's own."""
    return environment.applied(os.environ)


@pytest.fixture(scope="session")
def cloud(lab_up: None) -> Iterator[Connection]:
    """The gateway's OpenStack project."""
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(paths.CLOUDS_YAML)
    connection = openstack.connect(cloud="lab")
    yield connection
    connection.close()
