"""How long the allocation's commands take: ``.venv/bin/python -m benchmarks.allocation``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from allocation import ledger
from allocation.forecast import MODELS, forecast
from allocation.ledger import Row
from allocation.plan import Plan
from allocation.times import DAY, HOUR, day_begins, utc
from benchmarks.figures import Figure, show
from benchmarks.synthetic import RESOURCE, gateway
from lab import paths

RUNS = 5
HOURLY_YEAR = 365 * 24
MILLION = 1_000_000


def main(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Measure the allocation's commands. Exit status 1 when a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        year = written(Path(folder) / "year.csv", HOURLY_YEAR, every=HOUR)
        figures = [
            Figure(
                name=f"forecast of a year of hourly rows by {model}, beyond imports",
                unit="s",
                value=median_time(lambda model=model: forecast_of(year, model)),  # type: ignore[misc]
                target=1,
            )
            for model in MODELS
        ]
        figures.append(
            Figure(
                name="report on a year of hourly rows, in all",
                unit="s",
                value=median_time(lambda: report(year)),
                target=3,
            )
        )
        large = written(Path(folder) / "million.csv", MILLION, every=300.0)
        figures.append(
            Figure(
                name="reading a million rows",
                unit="s",
                value=median_time(lambda: ledger.read(large)),
                target=5,
            )
        )
    show(figures, as_json=as_json)


def median_time(work: Callable[[], object]) -> float:
    """Seconds, the median of some runs after a first one that loads what has to be loaded."""
    work()
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def written(path: Path, rows: int, *, every: float) -> Path:
    """A ledger of so many rows, of a gateway with weekends, breaks and changes of plan, again and again."""
    made = gateway(1)
    start = date(2014, 1, 1)
    begins = day_begins(start)
    moments = np.arange(rows) * every
    length = float(made.times[-1] - made.times[0])
    laps, within = np.divmod(moments, length)
    used = laps * made.used[-1] + np.interp(within, made.times - made.times[0], made.used)
    end = utc(begins + float(moments[-1]) + 100 * DAY).date()
    ledger.append(
        path,
        [
            Row(begins + float(at), RESOURCE, float(su), float(used[-1]) * 1.5, start, end)
            for at, su in zip(moments, used, strict=True)
        ],
    )
    return path


def forecast_of(path: Path, model: str) -> None:
    """One forecast, from the file to the figures."""
    (segments,) = ledger.read(path).segments.values()
    forecast(segments, now=float(segments[-1].times[-1]), plan=Plan(), model=model)  # type: ignore[arg-type]


def report(path: Path) -> None:
    """The whole command, as cron runs it."""
    (segments,) = ledger.read(path).segments.values()
    now = utc(float(segments[-1].times[-1])).isoformat()
    subprocess.run(
        [sys.executable, "-m", "allocation", "report", "--ledger", str(path), "--now", now],
        cwd=paths.PROGRAM,
        stdout=subprocess.DEVNULL,
        check=True,
    )


if __name__ == "__main__":
    typer.run(main)
