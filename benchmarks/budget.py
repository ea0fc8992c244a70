"""What the budget ladder does: 200 seeded years of bursty use on allocations that autoscaling alone
overdraws.

    .venv/bin/python -m benchmarks.budget            # about five minutes
    .venv/bin/python -m benchmarks.budget --json

Each replay has a floor, two pools, terms, weekends and workshops of one to three days at several times the
usual use, and an accounting that reports once a day, a day late. It is run twice: without the ladder, and
with it. The ladder decides every hour, on that day's reading of the shipped code: the planned model's
forecast, and the hours not reported at the ceiling. The allocation is the floor's need, a reserve of 2 % of
what autoscaling alone takes, and 40 to 90 % of what it takes above the floor.
"""

from __future__ import annotations

import concurrent.futures
import os
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from allocation.ladder import Rung
from benchmarks.budget_replay import Replay, replay_of
from benchmarks.figures import Figure, show

REPLAYS = 200


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    replays: Annotated[int, typer.Option(help="How many years.")] = REPLAYS,
) -> None:
    """Replay years of use with and without the ladder. Exit status 1 when a target is missed."""
    done: list[Replay] = []
    with (
        concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        for replay in progress.track(pool.map(replay_of, range(replays)), total=replays):
            done.append(replay)
    wanted = sum(replay.wanted for replay in done)
    braked = sum(replay.lost - replay.lost_alone for replay in done) / wanted
    unspent = [(replay.left - replay.reserve) / replay.elastic for replay in done]
    show(
        [
            Figure(
                name="replays that autoscaling alone overdraws",
                unit="replays",
                value=sum(replay.left_alone < 0 for replay in done),
            ),
            Figure(
                name="replays overdrawn under the ladder",
                unit="replays",
                value=sum(replay.left < 0 for replay in done),
                target=0,
            ),
            Figure(
                name="replays whose reserve was touched",
                unit="replays",
                value=sum(replay.left < replay.reserve for replay in done),
                target=0,
            ),
            Figure(
                name="times that a rung was entered within a day, at most",
                unit="times",
                value=max(replay.most_entries_a_day for replay in done),
                target=1,
            ),
            Figure(
                name="user-hours lost to braking, of those asked for",
                unit="%",
                value=100 * braked,
            ),
            Figure(
                name="left unspent beyond the reserve, of what users could have had, median",
                unit="%",
                value=100 * float(np.median(unspent)),
            ),
            Figure(
                name="user-hours that full pools turn away without the ladder, of those asked for",
                unit="%",
                value=100 * sum(replay.lost_alone for replay in done) / wanted,
            ),
            *(
                Figure(
                    name=f"replays whose highest rung was {rung.title}",
                    unit="replays",
                    value=sum(replay.highest == rung for replay in done),
                )
                for rung in Rung
            ),
        ],
        as_json=as_json,
    )


if __name__ == "__main__":
    typer.run(main)
