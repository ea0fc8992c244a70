"""What the tests of the image share: Debian's packages, the installed package, a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.image import chromium
from tests.image.running_lab import RunningLab, install, running_lab


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Debian's programs are there."""
    chromium.ensure_programs()


@pytest.fixture(scope="session")
def site(programs: None) -> Iterator[Path]:
    """Where the package is installed, for every user of the machine to read."""
    with tempfile.TemporaryDirectory(prefix="virtual-desktop-package-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield install(folder)


@pytest.fixture(scope="session")
def browser(programs: None) -> Iterator[Browser]:
    """Chromium without a screen."""
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A user's browser, with nothing in it."""
    with chromium.user_of(browser) as context:
        yield context


@pytest.fixture(scope="session")
def lab(site: Path) -> Iterator[RunningLab]:
    """A JupyterLab that tests share; its desktop is not stopped for idleness in their time."""
    with running_lab(site) as running:
        yield running
