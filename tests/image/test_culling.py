"""Open tabs of JupyterLab and its desktop do not keep a server: the real hub, its proxy and culler decide."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from playwright.sync_api import Browser

from tests.image import chromium, desktop_page, windows
from tests.image.desktop_hub import CULL_SECONDS, desktop_hub
from tests.image.waiting import PATIENCE_SECONDS, until


def test_an_open_but_unused_desktop_is_culled_and_one_that_is_used_is_not(
    tmp_path: Path, site: Path, browser: Browser
) -> None:
    with (
        desktop_hub(tmp_path, site) as hub,
        chromium.user_of(browser) as one,
        chromium.user_of(browser) as other,
    ):
        used, unused = hub.open_desktop(one, "used"), hub.open_desktop(other, "unused")
        began = time.monotonic()
        steps = itertools.count()

        def is_culled() -> bool:
            """Moves the other desktop's mouse meanwhile."""
            used.mouse.move(300 + next(steps) % 200, 300)
            return hub.server("unused") is None

        # Pictures that come and come are no use: a radar's display does that for days.
        with windows.moving_picture(hub.environment_of_desktop("unused")):
            until(is_culled, "the unused desktop's server is culled", CULL_SECONDS + PATIENCE_SECONDS)
        # The used one had every chance to be culled, too.
        while time.monotonic() < began + CULL_SECONDS + 20:
            is_culled()
            time.sleep(0.5)
        server = hub.server("used")
        assert server is not None and server["ready"], (
            f"the used desktop's server was culled:\n{hub.log[-3000:]}"
        )
        assert desktop_page.says(used) == ""
        # The page of what is no more tells its user, and does not start it again by itself.
        assert "Paused" in desktop_page.says(unused)
        unused.mouse.move(300, 300)
        until(lambda: "Your JupyterLab has been stopped" in desktop_page.says(unused), "the user is told")
        assert hub.server("unused") is None
