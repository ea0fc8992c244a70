"""How fast and how large the virtual desktop is: ``.venv/bin/python -m benchmarks.desktop``.

The real JupyterLab, Xvfb, XFCE, x11vnc and noVNC, and Chromium on the same machine. Memory is the
proportional set size (PSS) of all processes that the launcher card has started.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from playwright.sync_api import Browser, Page

from benchmarks.figures import Figure, show
from jupyter_image.desktop.virtual_desktop.keeper import HEALTHY_SECONDS
from tests.image import chromium, desktop_page
from tests.image.chromium import HEIGHT, WIDTH
from tests.image.running_lab import RunningLab, install, running_lab
from tests.image.waiting import until

RUNS = 10
SETTLED_SECONDS = 10
KILLED = ("Xvfb", "xfwm4", "x11vnc", "websockify")
"""One program of each kind; XFCE's is the one that the other windows need."""
KILLS = 5
"""Of each program; the slowest counts, as the target is for every one."""
LONGEST_SECONDS = 60
SEEN = """([x, y]) => new Promise((seen) => {
    const look = () => {
        const canvas = document.querySelector('#screen canvas');
        if (canvas && canvas.width && document.getElementById('notice').hidden) {
            const context = canvas.getContext('2d');
            const panel = context.getImageData(canvas.width / 2, 17, 1, 1).data;
            const wallpaper = context.getImageData(x, y, 1, 1).data;
            // Grey above, blue below.
            if (panel[0] > 25 && Math.abs(panel[0] - panel[2]) < 12 && wallpaper[2] > wallpaper[0] + 30)
                return seen(true);
        }
        setTimeout(look, 20);
    };
    look();
})"""
"""Resolves when the page has drawn panel and wallpaper: nothing less counts as a first frame."""


def main(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Measure the virtual desktop. Exit status 1 when a target is missed."""
    chromium.ensure_programs()
    with tempfile.TemporaryDirectory() as name, chromium.started() as browser:
        site = install(Path(name))
        firsts, closed, idle = [], 0.0, 0.0
        for _ in range(RUNS):
            with running_lab(site) as lab:
                closed = max(closed, megabytes(lab.family()))
                firsts.append(first_frame(browser, lab))
                if len(firsts) == RUNS:
                    time.sleep(SETTLED_SECONDS)
                    idle = megabytes(lab.family())
                    back = {
                        program: max(recovery(browser, lab, program) for _ in range(KILLS))
                        for program in KILLED
                    }
    show(
        [
            Figure(
                name=f"first frame after the click, median of {RUNS}",
                unit="s",
                value=statistics.median(firsts),
                target=3,
            ),
            Figure(name="memory of an idle desktop (PSS)", unit="MB", value=idle, target=300),
            Figure(name="memory when never opened (PSS)", unit="MB", value=closed, target=0),
            *(
                Figure(
                    name=f"back after kill -9 of {program}, from the next request, slowest of {KILLS}",
                    unit="s",
                    value=took,
                    target=5,
                )
                for program, took in back.items()
            ),
        ],
        as_json=as_json,
    )


def first_frame(browser: Browser, lab: RunningLab) -> float:
    """Seconds from the click on the launcher card to panel and wallpaper, in a new browser."""
    with chromium.user_of(browser) as context:
        page = desktop_page.log_in(context, lab)
        began = time.perf_counter()
        _wait_until_seen(desktop_page.click_card(page))
        return time.perf_counter() - began


def recovery(browser: Browser, lab: RunningLab, program: str) -> float:
    """Seconds from a reload of the page, right after a program was killed, to panel and wallpaper."""
    with chromium.user_of(browser) as context:
        tab = desktop_page.click_card(desktop_page.log_in(context, lab))
        _wait_until_seen(tab)
        process = until(lambda: lab.program(program), f"{program} runs")
        # One that has just been started is not started again at once: that is for programs that never stay.
        time.sleep(max(0.0, process.create_time() + HEALTHY_SECONDS + 1 - time.time()))
        process.kill()
        process.wait(LONGEST_SECONDS)
        began = time.perf_counter()
        tab.reload()
        until(lambda: lab.program(program), f"{program} runs again")
        _wait_until_seen(tab)
        return time.perf_counter() - began


def megabytes(processes: list[psutil.Process]) -> float:
    """Their memory together, where shared memory counts once."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


def _wait_until_seen(tab: Page) -> None:
    tab.evaluate(SEEN, [WIDTH // 4, HEIGHT - 60])


if __name__ == "__main__":
    typer.run(main)
