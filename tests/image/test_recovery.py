"""What dies comes back: each program by itself, and the supervisor with all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.image import chromium, desktop_page
from tests.image.running_lab import SUPERVISOR, RunningLab, each_says, marked
from tests.image.waiting import until


@pytest.fixture(scope="module")
def desktop(browser: Browser, lab: RunningLab) -> Iterator[Page]:
    """A tab with the desktop."""
    with chromium.user_of(browser) as context:
        page = desktop_page.log_in(context, lab)
        tab = desktop_page.click_card(page)
        page.close()
        desktop_page.wait_for_desktop(tab)
        yield tab


def killed(lab: RunningLab, name: str) -> psutil.Process:
    """Kills a program, and gives what has been killed."""
    process = until(lambda: lab.program(name), f"{name} runs")
    process.kill()
    gone: tuple[list[str], ...] = ([], [psutil.STATUS_ZOMBIE])
    until(lambda: each_says([process], lambda each: each.status()) in gone, f"{name} has gone")
    return process


@pytest.mark.parametrize(
    "name",
    ["Xvfb", "xfwm4", "xfce4-panel", "xfdesktop", "xfsettingsd", "x11vnc", "websockify", "dbus-daemon"],
)
def test_a_program_that_is_killed_comes_back_and_the_open_tab_shows_it(
    desktop: Page, lab: RunningLab, name: str
) -> None:
    before = killed(lab, name)
    after = until(lambda: lab.program(name), f"{name} runs again")
    assert after.pid != before.pid
    until(lambda: desktop_page.says(desktop) == "", "the tab is connected again")
    desktop_page.wait_for_desktop(desktop)


def test_a_killed_vnc_server_leaves_no_shared_memory_behind(desktop: Page, lab: RunningLab) -> None:
    def made_by(pid: int) -> list[str]:
        # Fields of proc(5): key, shmid, perms, size, cpid, ...
        lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
        return [line for line in lines if int(line.split()[4]) == pid]

    assert made_by(killed(lab, "x11vnc").pid) == []


def test_a_killed_supervisor_comes_back_with_one_desktop_and_new_secrets(
    desktop: Page, lab: RunningLab
) -> None:
    old = lab.family()
    folder = lab.folder()
    password = (folder / "password").read_text()
    killed(lab, SUPERVISOR)
    until(lambda: lab.program("x11vnc"), "there is a desktop again")
    until(lambda: desktop_page.says(desktop) == "", "the tab is connected again")
    desktop_page.wait_for_desktop(desktop)
    assert (folder / "password").read_text() != password
    until(
        lambda: not [process for process in old if process.is_running()],
        f"nothing is left of the old desktop: {[process.name() for process in old if process.is_running()]}",
    )
    running = {process.pid for process in lab.family()}
    assert {process.pid for process in marked(folder)} <= running


def test_the_tab_waits_while_nothing_listens_behind_jupyterlab(desktop: Page, lab: RunningLab) -> None:
    # As while a new supervisor is slow to come: JupyterLab itself answers then.
    (lab.folder() / "door").unlink()
    killed(lab, "x11vnc")
    until(lambda: desktop_page.says(desktop).startswith("The desktop does not answer."), "it is missed")
    killed(lab, SUPERVISOR)
    until(lambda: desktop_page.says(desktop) == "", "the tab is connected again")
    desktop_page.wait_for_desktop(desktop)


def test_a_program_of_the_user_outlives_the_window_manager(desktop: Page, lab: RunningLab) -> None:
    desktop.mouse.click(*desktop_page.TERMINAL)
    terminal = until(lambda: lab.program("xfce4-terminal"), "a terminal runs")
    killed(lab, "xfwm4")
    until(lambda: lab.program("xfwm4"), "the window manager runs again")
    assert terminal.is_running()
    terminal.terminate()


def test_orphans_are_reaped(desktop: Page, lab: RunningLab) -> None:
    said = each_says(lab.family(), lambda each: (each, each.status()))
    zombies = [each for each, status in said if status == psutil.STATUS_ZOMBIE]
    until(
        lambda: not [each for each in zombies if each.is_running()],
        f"these are reaped: {json.dumps(str(zombies))}",
    )
