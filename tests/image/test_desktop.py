"""The whole way, with the real programs: from the launcher card to what is typed in a terminal and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.image import chromium, desktop_page, windows
from tests.image.chromium import HEIGHT, WIDTH
from tests.image.running_lab import RunningLab, each_says
from tests.image.waiting import until


@pytest.fixture(scope="module")
def desktop(browser: Browser, lab: RunningLab) -> Iterator[Page]:
    """The tab that the launcher card opened."""
    with chromium.user_of(browser) as context:
        page = desktop_page.log_in(context, lab)
        tab = desktop_page.click_card(page)
        page.close()
        desktop_page.wait_for_desktop(tab)
        yield tab
    # The next tests of this JupyterLab find it as we did.
    for process, name in each_says(lab.family(), lambda each: (each, each.name().lower())):
        if name in ("xfce4-terminal", "thunar"):
            process.terminate()
    until(lambda: not windows.titles(lab), "the windows are closed")


@pytest.fixture(scope="module")
def terminal(desktop: Page, lab: RunningLab) -> Page:
    """The same tab, with a terminal that was opened by mouse and has the keyboard."""
    desktop.mouse.click(*desktop_page.TERMINAL)
    until(lambda: "Terminal" in str(windows.titles(lab)), "the terminal has a window")
    ready = lab.home / "ready"

    def typed() -> bool:
        # Its shell may not listen yet.
        run(desktop, f"touch {ready}")
        return ready.exists()

    until(typed, "the terminal's shell does what is typed")
    return desktop


def follow(desktop: Page, size: tuple[int, int]) -> None:
    """Waits until the desktop has a size."""
    until(lambda: desktop_page.size_of_desktop(desktop) == size, f"the desktop has the size {size}")


def run(desktop: Page, command: str) -> None:
    """Types a command."""
    desktop.keyboard.type(command)
    desktop.keyboard.press("Enter")


def test_the_desktop_fills_the_tab(desktop: Page) -> None:
    assert desktop_page.size_of_desktop(desktop) == (WIDTH, HEIGHT)
    assert desktop_page.faults(desktop_page.picture(desktop)) == []


def test_the_desktop_follows_the_size_of_the_window(desktop: Page) -> None:
    for width, height in ((900, 620), (1501, 877), (WIDTH, HEIGHT)):
        desktop.set_viewport_size({"width": width, "height": height})
        follow(desktop, (width, height))
        desktop_page.wait_for_desktop(desktop)


def test_what_is_typed_in_a_terminal_is_done(terminal: Page, lab: RunningLab) -> None:
    run(terminal, "echo seven times six is $((7*6)) > said")
    said = lab.home / "said"
    assert until(lambda: said.exists() and said.read_text(), "the command has written") == (
        "seven times six is 42\n"
    )


def test_what_is_copied_in_the_desktop_can_be_pasted_in_the_browser(terminal: Page) -> None:
    run(terminal, "printf 'from the desktop 7 \\302\\260C' | xclip -selection clipboard")
    until(
        lambda: terminal.evaluate("navigator.clipboard.readText()") == "from the desktop 7 °C",
        "the browser's clipboard has it",
    )


def test_what_is_copied_in_the_browser_can_be_pasted_in_the_desktop(terminal: Page, lab: RunningLab) -> None:
    terminal.evaluate("navigator.clipboard.writeText('from the browser 5 °C')")
    # As when a user comes back to the tab.
    terminal.evaluate("window.dispatchEvent(new Event('focus'))")
    pasted = lab.home / "pasted"

    def paste() -> bool:
        run(terminal, f"xclip -o -selection clipboard > {pasted}")
        return pasted.exists() and pasted.read_text() == "from the browser 5 °C"

    until(paste, "the desktop's clipboard has it")


@pytest.mark.parametrize(
    ("place", "name", "program"),
    [
        (desktop_page.HAWKEYE, "HawkEye", "/usr/local/lrose/bin/HawkEye"),
        (desktop_page.IDV, "IDV", "/usr/local/bin/idv"),
    ],
)
def test_a_program_that_is_absent_gives_a_dialog(
    desktop: Page, lab: RunningLab, place: tuple[int, int], name: str, program: str
) -> None:
    desktop.mouse.click(*place)
    until(lambda: name in windows.titles(lab), f"a dialog named {name}")
    dialog = until(lambda: lab.program("zenity"), "the dialog's program runs")
    assert f"there is no {program}" in " ".join(dialog.cmdline())
    assert "GDK_GL" not in dialog.environ(), "programs have OpenGL, if the panel has not"
    desktop.keyboard.press("Enter")
    until(lambda: name not in windows.titles(lab), "the dialog closes")


def test_the_file_manager_opens(desktop: Page, lab: RunningLab) -> None:
    desktop.mouse.click(*desktop_page.FILES)
    until(lambda: any("Thunar" in title for title in windows.titles(lab)), "the file manager has a window")
