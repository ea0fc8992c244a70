"""The desktop as a user has it: a tab of a browser, a mouse and a keyboard."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from playwright.sync_api import BrowserContext, Page

from tests.image.running_lab import PACKAGE, RunningLab
from tests.image.waiting import PATIENCE_SECONDS, until

WALLPAPER = PACKAGE / "virtual_desktop" / "data" / "share" / "backgrounds" / "virtual-desktop.jpg"
PANEL_HEIGHT = 34
PATIENCE_MS = PATIENCE_SECONDS * 1000
TERMINAL, FILES, HAWKEYE, IDV = (120, 17), (154, 17), (188, 17), (222, 17)
"""Where the panel's launchers are, in pixels."""


def log_in(context: BrowserContext, lab: RunningLab) -> Page:
    """Logs in at JupyterLab's own page, and gives the tab when the launcher is there."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{lab.url}/lab")
    page.fill("input[name=password]", lab.token)
    page.click("#login_submit")
    card(page)
    return page


def card(page: Page) -> None:
    """Waits for the launcher card."""
    page.locator(".jp-LauncherCard", has_text="Virtual Desktop").wait_for()


def click_card(page: Page) -> Page:
    """Clicks the launcher card, and gives the tab that opens."""
    with page.context.expect_page() as opened:
        page.locator(".jp-LauncherCard", has_text="Virtual Desktop").click()
    tab = opened.value
    tab.set_default_timeout(PATIENCE_MS)
    return tab


def picture(page: Page) -> Image.Image:
    """What the tab shows."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def faults(image: Image.Image) -> list[str]:
    """What makes a picture not one of the desktop: the wallpaper or the panel is missing."""
    shown = np.asarray(image, dtype=float)
    with Image.open(WALLPAPER) as wallpaper:
        expected = np.asarray(ImageOps.fit(wallpaper.convert("RGB"), image.size), dtype=float)
    found = []
    below = slice(PANEL_HEIGHT + 2, image.height - 20)
    # Windows may cover two thirds of it.
    difference = float(np.quantile(np.abs(shown[below] - expected[below]), 1 / 3))
    if difference > 6:
        found.append(f"the wallpaper differs by {difference:.0f} of 255")
    free = shown[4 : PANEL_HEIGHT - 4, image.width // 2 : image.width - 90]
    if not (25 < free.mean() < 75 and free.std() < 6):
        found.append(f"no panel at the top: brightness {free.mean():.0f}, scatter {free.std():.0f}")
    icons = shown[4 : PANEL_HEIGHT - 4, 10:240]
    if icons.std() < 20:
        found.append("no launchers in the panel")
    return found


def wait_for_desktop(page: Page) -> Image.Image:
    """Waits until the desktop is there, and gives the picture of it."""

    def seen() -> Image.Image | None:
        image = picture(page)
        last[:] = faults(image)
        return None if last else image

    last: list[str] = ["nothing yet"]
    try:
        return until(seen, "the desktop is shown")
    except AssertionError as problem:
        notice = page.locator("#notice-text").text_content()
        raise AssertionError(f"{problem}: {last}; the page says {notice!r}") from None


def size_of_desktop(page: Page) -> tuple[int, int]:
    """The size that the VNC server has told the page."""
    found: NDArray[np.int_] = np.array(
        page.evaluate(
            "(() => { const c = document.querySelector('#screen canvas'); return [c.width, c.height]; })()"
        )
    )
    return int(found[0]), int(found[1])


def says(page: Page) -> str:
    """What the page tells over the desktop; empty if nothing."""
    if page.locator("#notice").is_hidden():
        return ""
    return page.locator("#notice-text").text_content() or ""
