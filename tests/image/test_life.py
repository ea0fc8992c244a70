"""When there is a desktop and when there is none: before the first use, when nobody is there, at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Route

from tests.image import desktop_page, windows
from tests.image.running_lab import SUPERVISOR, RunningLab, each_says, marked, running_lab
from tests.image.waiting import until

PROGRAMS = ("Xvfb", "xfwm4", "xfce4-panel", "xfdesktop", "x11vnc", "websockify", "dbus-daemon")


def alive(processes: list[psutil.Process]) -> list[str]:
    """The names of those that still run."""
    running = [each for each in processes if each.is_running()]
    said = each_says(running, lambda each: (each.name(), each.status()))
    return [name for name, status in said if status != psutil.STATUS_ZOMBIE]


def test_nothing_runs_and_nothing_is_written_before_the_first_use(site: Path) -> None:
    with running_lab(site) as lab:
        assert lab.get("/server-proxy/servers-info").json()["server_processes"][0]["launcher_entry"][
            "title"
        ] == ("Virtual Desktop")
        assert lab.get("/server-proxy/icon/virtual-desktop").text.startswith("<svg")
        assert lab.family() == []
        assert not [path for path in lab.home.rglob("*") if "virtual-desktop" in path.name]


@pytest.fixture
def open_desktop(site: Path, context: BrowserContext) -> Iterator[tuple[RunningLab, Page]]:
    """A JupyterLab of its own with an open desktop, and in it a terminal with a program in the background."""
    with running_lab(site) as lab:
        tab = desktop_page.click_card(desktop_page.log_in(context, lab))
        desktop_page.wait_for_desktop(tab)
        tab.mouse.click(*desktop_page.TERMINAL)
        until(lambda: windows.titles(lab), "the terminal has a window")

        def begun() -> psutil.Process | None:
            tab.keyboard.type("setsid --fork sleep 86399")
            tab.keyboard.press("Enter")
            return lab.program("sleep")

        until(begun, "a program runs that left the terminal")
        yield lab, tab


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_no_process_remains_when_jupyterlab_ends(
    open_desktop: tuple[RunningLab, Page], signum: signal.Signals
) -> None:
    lab, _ = open_desktop
    family, folder = lab.family(), lab.folder()
    assert {*PROGRAMS, "sleep", "xfce4-terminal"} <= {process.name() for process in family} | {"websockify"}
    lab.process.send_signal(signum)
    lab.process.wait(120)
    until(lambda: not alive(family), "nothing of the desktop runs")
    assert marked(folder) == []
    until(lambda: not folder.exists(), "its folder is removed")


@pytest.fixture(scope="module")
def restless(site: Path) -> Iterator[RunningLab]:
    """A JupyterLab whose desktop is paused and stopped after seconds without input."""
    settings = {"VIRTUAL_DESKTOP_IDLE_MINUTES": "0.25", "VIRTUAL_DESKTOP_PAUSE_MINUTES": "0.05"}
    with running_lab(site, settings=settings) as lab:
        yield lab


def test_an_unused_desktop_pauses_then_stops_and_starts_again_when_asked(
    restless: RunningLab, context: BrowserContext
) -> None:
    tab = desktop_page.click_card(desktop_page.log_in(context, restless))
    until(lambda: restless.program("x11vnc"), "the desktop runs")
    family = restless.family()
    until(lambda: "Paused" in desktop_page.says(tab), "the page pauses")
    until(lambda: not restless.program("Xvfb"), "the X server is stopped")
    supervisor = restless.program(SUPERVISOR)
    assert supervisor is not None, "the supervisor waits for the next use"
    family.remove(supervisor)
    until(lambda: not alive(family), "all of its programs are stopped")
    assert restless.family() == [supervisor]
    tab.mouse.move(300, 300)
    until(lambda: "stopped after 0.25 minutes" in desktop_page.says(tab), "the page says what happened")
    assert restless.program("Xvfb") is None, "a movement of the mouse does not start it again"
    tab.get_by_role("button", name="Start it again").click()
    until(lambda: restless.program("x11vnc"), "the desktop runs again")


def test_a_paused_page_goes_on_when_somebody_comes_back(site: Path, context: BrowserContext) -> None:
    with running_lab(site, settings={"VIRTUAL_DESKTOP_PAUSE_MINUTES": "0.05"}) as lab:
        tab = desktop_page.click_card(desktop_page.log_in(context, lab))
        desktop_page.wait_for_desktop(tab)
        until(lambda: "Paused" in desktop_page.says(tab), "the page pauses")
        programs = lab.family()
        tab.mouse.move(300, 300)
        until(lambda: desktop_page.says(tab) == "", "the page goes on")
        assert not set(programs) - set(lab.family()), "the same programs run"


def test_real_input_counts_as_activity_and_an_open_page_does_not(
    lab: RunningLab, context: BrowserContext
) -> None:
    page = desktop_page.log_in(context, lab)
    tab = desktop_page.click_card(page)
    # JupyterLab's own page asks its server for news, which counts.
    page.close()
    desktop_page.wait_for_desktop(tab)
    count_pictures(tab)

    def unchanged_while_pictures_come() -> bool:
        before, drawn = lab.last_activity(), int(tab.evaluate("window.pictures"))
        until(lambda: int(tab.evaluate("window.pictures")) > drawn + 50, "pictures come without any input")
        return lab.last_activity() == before

    x11vnc = until(lambda: lab.program("x11vnc"), "the desktop runs")
    with windows.moving_picture(x11vnc.environ()):
        until(unchanged_while_pictures_come, "pictures are no activity")
    before = lab.last_activity()
    written = lab.folder() / "last-input"
    tab.mouse.move(400, 300)
    tab.mouse.move(420, 320)
    until(lambda: written.exists() and lab.last_activity() != before, "the mouse is activity")


def count_pictures(tab: Page) -> None:
    """Counts from now on how often the page draws what the VNC server has sent."""
    tab.evaluate(
        """() => {
            window.pictures = 0;
            const canvas = document.querySelector('#screen canvas').getContext('2d');
            const draw = canvas.drawImage;
            canvas.drawImage = function (...all) { window.pictures += 1; return draw.apply(this, all); };
        }"""
    )


def test_a_wrong_setting_is_told_to_the_user(site: Path, context: BrowserContext) -> None:
    with running_lab(site, settings={"VIRTUAL_DESKTOP_IDLE_MINUTES": "soon"}) as lab:
        tab = desktop_page.click_card(desktop_page.log_in(context, lab))
        until(lambda: "VIRTUAL_DESKTOP_IDLE_MINUTES='soon'" in desktop_page.says(tab), "the page tells it")
        assert lab.program("Xvfb") is None


def test_an_old_home_does_no_harm(site: Path, context: BrowserContext) -> None:
    with running_lab(site) as lab:
        for name, content in OLD_HOME.items():
            path = lab.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        tab = desktop_page.click_card(desktop_page.log_in(context, lab))
        desktop_page.wait_for_desktop(tab)


OLD_CHANNELS = ".config/xfce4/xfconf/xfce-perchannel-xml"
OLD_HOME = {
    f"{OLD_CHANNELS}/xfce4-panel.xml": (
        '<channel name="xfce4-panel" version="1.0"><property name="panels" type="array"/></channel>'
    ),
    f"{OLD_CHANNELS}/xfce4-desktop.xml": "this is no XML",
    ".config/xfce4/panel/launcher-2/old.desktop": "[Desktop Entry]\nType=Application\nExec=false\nName=old\n",
    ".x11vncrc": "-rfbport 5900\n-viewonly\n",
    ".vnc/xstartup": "exit 1\n",
    ".Xauthority": "not a cookie",
    ".dbus/session-bus/old": "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent\n",
    "tornado.py": "raise SystemExit('a file of the user')\n",
}
"""What a home may have from other desktops and from its user."""


def test_a_page_that_finds_no_desktop_stops_asking(context: BrowserContext, lab: RunningLab) -> None:
    desktop_page.log_in(context, lab).close()
    asked = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=500, content_type="text/html", body="<h1>500</h1>")

    tab = context.new_page()
    tab.route("**/virtual-desktop/session*", refuse)
    tab.clock.install()
    tab.goto(f"{lab.url}/virtual-desktop/")
    until(lambda: "does not answer" in desktop_page.says(tab), "the page tells it")
    tab.clock.run_for(6 * 60_000)
    until(lambda: "Paused" in desktop_page.says(tab), "the page pauses")
    so_far = len(asked)
    tab.clock.run_for(10 * 60_000)
    assert len(asked) == so_far
    assert "Paused" in desktop_page.says(tab)
