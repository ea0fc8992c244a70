"""How long the allocation's commands take: ``.venv/bin/python -m benchmarks.allocation``."""

from __future__ import annotations

import dataclasses
import shutil
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
from allocation.verdict import STATUS
from benchmarks.figures import Figure, show
from benchmarks.synthetic import RESOURCE, gateway
from lab import paths

RUNS = 5
FEW_RUNS = 3
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
        figures += of_a_million(Path(folder))
    show(figures, as_json=as_json)


def of_a_million(folder: Path) -> list[Figure]:
    """What the ledger and the report take on a million rows."""
    large = written(folder / "million.csv", MILLION, every=300.0)
    *_, again = ledger.read(large).every_row()
    fell = folder / "fell.csv"
    shutil.copy(large, fell)
    refund = dataclasses.replace(again, timestamp=again.timestamp + HOUR, used=again.used - 100)
    ledger.append(fell, [refund], now=refund.timestamp)
    copy = folder / "copy.csv"
    ledger.import_rows(copy, large)
    works: list[tuple[str, float, Callable[[], object]]] = [
        ("reading", 5, lambda: ledger.read(large)),
        ("appending a row to", 5, lambda: ledger.append(copy, [again])),
        ("importing", 15, lambda: imported(folder / "new.csv", large)),
        ("importing once more, where they are already,", 20, lambda: ledger.import_rows(copy, large)),
        ("exporting as CSV", 10, lambda: ledger.export(ledger.read(large), "csv")),
        ("exporting as JSON", 15, lambda: ledger.export(ledger.read(large), "json")),
        ("report, in all, on", 10, lambda: report(large)),
        ("report, in all, where a figure fell, on", 15, lambda: report(fell)),
    ]
    return [
        Figure(name=f"{name} a million rows", unit="s", value=median_time(work, runs=FEW_RUNS), target=target)
        for name, target, work in works
    ]


def median_time(work: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds, the median of some runs after a first one that loads what has to be loaded."""
    work()
    taken = []
    for _ in range(runs):
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


def imported(path: Path, source: Path) -> None:
    """A ledger that is begun with another one's rows."""
    path.unlink(missing_ok=True)
    ledger.import_rows(path, source)


def forecast_of(path: Path, model: str) -> None:
    """One forecast, from the file to the figures."""
    (segments,) = ledger.read(path).segments.values()
    forecast(segments, now=float(segments[-1].times[-1]), plan=Plan(), model=model)  # type: ignore[arg-type]


def report(path: Path) -> None:
    """The whole command, as cron runs it."""
    (segments,) = ledger.read(path).segments.values()
    now = utc(float(segments[-1].times[-1])).isoformat()
    done = subprocess.run(
        [sys.executable, "-m", "allocation", "report", "--ledger", str(path), "--now", now],
        cwd=paths.PROGRAM,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in STATUS.values():
        raise SystemExit(f"the report on {path} fails with exit status {done.returncode}")


if __name__ == "__main__":
    typer.run(main)
