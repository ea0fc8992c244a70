"""An open desktop does not keep its server: the real hub, its real proxy and the real idle culler decide."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Browser

from tests.image import desktop_page
from tests.image.conftest import HEIGHT, WIDTH
from tests.image.desktop_hub import CULL_SECONDS, desktop_hub
from tests.image.waiting import PATIENCE_SECONDS, until


def test_an_open_but_unused_desktop_is_culled_and_one_that_is_used_is_not(
    tmp_path: Path, site: Path, browser: Browser
) -> None:
    with desktop_hub(tmp_path, site) as hub:
        contexts = [browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}) for _ in range(2)]
        used = hub.open_desktop(contexts[0], "used")
        unused = hub.open_desktop(contexts[1], "unused")
        began = time.monotonic()
        places = iter(range(10**9))

        def is_culled() -> bool:
            """Moves the other desktop's mouse meanwhile."""
            used.mouse.move(300 + next(places) % 200, 300)
            return hub.server("unused") is None

        until(
            is_culled,
            f"the unused desktop's server is culled; {hub.log_file}",
            CULL_SECONDS + PATIENCE_SECONDS,
        )
        # The used one had every chance to be culled, too.
        while time.monotonic() < began + CULL_SECONDS + 20:
            is_culled()
            time.sleep(0.5)
        server = hub.server("used")
        assert server is not None and server["ready"], "the used desktop's server was culled"
        assert desktop_page.says(used) == ""
        assert unused.locator("#notice").is_visible()
        for context in contexts:
            context.close()
