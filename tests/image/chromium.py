"""The browser of these tests, and Debian's packages for it and for the desktop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from playwright.sync_api import Browser, BrowserContext, sync_playwright

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


def ensure_programs() -> None:
    """Makes sure that Debian's programs are there."""
    debian_packages.ensure(PROGRAMS, PACKAGES)


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Debian's Chromium, without a screen, for the length of the block."""
    # Its sandbox refuses root; it visits nothing but loopback.
    options = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield browser
        browser.close()


@contextlib.contextmanager
def user_of(browser: Browser) -> Iterator[BrowserContext]:
    """A user's windows, with nothing remembered, for the length of the block."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()
