"""What the tests of the image share: Debian's packages, the installed package, a browser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.image.running_lab import RunningLab, install, running_lab
from tests.lab import debian_packages

PROGRAMS = (
    "Xvfb",
    "x11vnc",
    "/usr/share/novnc/core/rfb.js",
    "xfwm4",
    "xfce4-panel",
    "xfdesktop",
    "xfsettingsd",
    "xfce4-terminal",
    "thunar",
    "dbus-daemon",
    "xrandr",
    "xclip",
    "zenity",
    "chromium",
)
PACKAGES = (
    "xvfb",
    "x11vnc",
    "novnc",
    "xfwm4",
    "xfce4-panel",
    "xfdesktop4",
    "xfce4-settings",
    "xfce4-terminal",
    "thunar",
    "dbus",
    "x11-xserver-utils",
    "xclip",
    "zenity",
    "fonts-dejavu-core",
    "adwaita-icon-theme",
    "chromium",
)
WIDTH, HEIGHT = 1200, 760


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Debian's programs are there."""
    debian_packages.ensure(PROGRAMS, PACKAGES)


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
    # Its sandbox refuses root; it visits nothing but loopback.
    options = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A user's browser, with nothing in it."""
    made = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture(scope="session")
def lab(site: Path) -> Iterator[RunningLab]:
    """A JupyterLab that tests share; its desktop is not stopped for idleness in their time."""
    with running_lab(site) as running:
        yield running
