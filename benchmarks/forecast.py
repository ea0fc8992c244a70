"""How good the forecasts are: on a real hub's term, and on 500 synthetic allocations.

    .venv/bin/python -m benchmarks.forecast            # about two minutes
    .venv/bin/python -m benchmarks.forecast --json

Error is the mean absolute error of the use over the horizon, as a part of that use; coverage is how often
the use lay in the 80 % interval. Everything is seeded: a second run gives the same figures.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import math
import os
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from allocation.backtest import Score, Trial, scores, trials
from allocation.times import DAY
from benchmarks import berkeley
from benchmarks.synthetic import gateway

ALLOCATIONS = 500
SETTLED_DAYS = 40
"""Days after a change of plan from when on a line through a month of figures knows nothing of it any more."""

Groups = dict[str, list[Score]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A figure and the range it is to lie in."""

    name: str
    value: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.least <= self.value <= self.most


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    allocations: Annotated[int, typer.Option(help="How many synthetic allocations.")] = ALLOCATIONS,
) -> None:
    """Measure the forecasts. Exit status 1 when a target is missed."""
    groups = real_term() | synthetic(allocations)
    judged = targets(groups)
    if as_json:
        figures = {name: [dataclasses.asdict(score) for score in group] for name, group in groups.items()}
        print(json.dumps({"scores": figures, "targets": [_as_json(target) for target in judged]}, indent=1))
    else:
        _show(groups, judged)
    if not all(target.met for target in judged):
        raise SystemExit(1)


def real_term() -> Groups:
    """(a): every day of the Berkeley trace after two weeks, with and without its academic calendar."""
    ledger = berkeley.reported()
    days = [float(moment) for moment in ledger.times[14:]]
    return {
        f"Berkeley, {name} calendar": scores(trials([ledger], berkeley.plan(with_calendar=known), days))
        for name, known in (("with", True), ("without", False))
    }


def synthetic(count: int) -> Groups:
    """(b): a day after each change of plan, and at four moments a year that are long after any."""
    changed: list[Trial] = []
    settled: list[Trial] = []
    with (
        concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        for after, other in progress.track(pool.map(of_seed, range(count), chunksize=5), total=count):
            changed += after
            settled += other
    return {
        "synthetic, a day after a change of plan": scores(changed),
        "synthetic, elsewhere": scores(settled),
    }


def of_seed(seed: int) -> tuple[list[Trial], list[Trial]]:
    """The trials of one allocation: a day after its changes, and elsewhere."""
    made = gateway(seed)
    times = made.reported.times
    candidates = np.random.default_rng([seed, 1]).uniform(times[0] + 14 * DAY, times[-1] - 8 * DAY, 4)
    elsewhere = [
        float(moment)
        for moment in candidates
        if all(not 0 <= moment - change < SETTLED_DAYS * DAY for change in made.changes)
    ]
    segments = [made.reported]
    return (
        trials(segments, made.plan, [change + DAY for change in made.changes]),
        trials(segments, made.plan, elsewhere),
    )


def targets(groups: Groups) -> list[Target]:
    """What is asked of the planned model."""
    real, _, changed, settled = groups
    found = [
        Target(
            name="after a change, 30 days: error, planned / two-point line",
            value=_error(groups[changed], "planned", 30) / _error(groups[changed], "linear", 30),
            most=0.25,
        )
    ]
    for days in (7, 30, 90):
        best = min(_error(groups[settled], line, days) for line in ("linear", "least-squares"))
        found.append(
            Target(
                name=f"elsewhere, {days} days: error, planned / better line",
                value=_error(groups[settled], "planned", days) / best,
                most=1.05,
            )
        )
        found.append(
            Target(
                name=f"{real}, {days} days: error, planned / two-point line",
                value=_error(groups[real], "planned", days) / _error(groups[real], "linear", days),
                most=0.70,
            )
        )
    for name in (changed, settled):
        found += [
            Target(
                name=f"{name}, {score.horizon_days} days: coverage of planned",
                value=score.coverage,
                least=0.75,
                most=0.85,
            )
            for score in groups[name]
            if score.model == "planned"
        ]
    # One term's windows overlap so much that single horizons say little of coverage: all of them together.
    mine = [score for score in groups[real] if score.model == "planned"]
    pooled = float(np.average([score.coverage for score in mine], weights=[score.trials for score in mine]))
    found.append(
        Target(name=f"{real}: coverage of planned, all horizons", value=pooled, least=0.75, most=0.85)
    )
    return found


def _error(group: Sequence[Score], model: str, days: int) -> float:
    return next(score.error for score in group if (score.model, score.horizon_days) == (model, days))


def _as_json(target: Target) -> dict[str, object]:
    bounds = {"least": target.least, "most": target.most}
    finite = {name: value for name, value in bounds.items() if math.isfinite(value)}
    return {"name": target.name, "value": target.value, **finite, "met": target.met}


def _show(groups: Groups, judged: Sequence[Target]) -> None:
    console = Console(width=110)
    for name, group in groups.items():
        table = Table(
            "model", "horizon", "trials", "error", "bias", "coverage", title=name, title_justify="left"
        )
        for score in group:
            table.add_row(
                score.model,
                f"{score.horizon_days} days",
                str(score.trials),
                f"{score.error:.1%}",
                f"{score.bias:+.1%}",
                f"{score.coverage:.0%}",
            )
        console.print(table)
    table = Table("target", "value", "range", "met")
    for target in judged:
        wanted = (
            f"{target.least:.2f} to {target.most:.2f}" if target.least > -math.inf else f"≤ {target.most:.2f}"
        )
        table.add_row(target.name, f"{target.value:.3f}", wanted, "yes" if target.met else "NO")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
