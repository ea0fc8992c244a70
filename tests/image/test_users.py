"""Two users of one machine at once have two desktops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.image import chromium, desktop_page, windows
from tests.image.running_lab import RunningLab, each_says, running_lab
from tests.image.waiting import until

UNIX_USERS = ("games", "daemon")
"""Users that every Debian has."""


@pytest.fixture
def labs(site: Path) -> Iterator[tuple[RunningLab, RunningLab]]:
    """Two JupyterLabs: as root those of two Unix users, otherwise both of ours."""
    users = UNIX_USERS if os.geteuid() == 0 else (None, None)
    with ExitStack() as stack:
        first, second = (stack.enter_context(running_lab(site, user=user)) for user in users)
        yield first, second


def test_two_users_see_two_desktops(labs: tuple[RunningLab, RunningLab], browser: Browser) -> None:
    with ExitStack() as stack:
        tabs = []
        for lab in labs:
            context = stack.enter_context(chromium.user_of(browser))
            tabs.append(desktop_page.click_card(desktop_page.log_in(context, lab)))
        for tab in tabs:
            desktop_page.wait_for_desktop(tab)
        first, second = labs
        assert first.display() != second.display()
        assert first.folder() != second.folder()
        # Such users have no shell for a terminal.
        tabs[0].mouse.click(*desktop_page.FILES)
        until(lambda: "Thunar" in str(windows.titles(first)), "the first user's file manager has a window")
        assert windows.titles(second) == [], "the second user does not see it"
        for lab in labs:
            owners = set(each_says(lab.family(), lambda process: process.uids().real))
            assert owners == {psutil.Process(lab.process.pid).uids().real}
