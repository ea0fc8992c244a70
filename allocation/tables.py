"""Results as tables and lines for people; ``show`` functions print them on the console they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from allocation import rates, terminal, times
from allocation.backtest import Score
from allocation.drift import Agreement
from allocation.forecast import Model
from allocation.ledger import BadLine
from allocation.plot import BEFORE, LOOKS, Curve, Look
from allocation.report import STALE_HOURS, Report
from allocation.verdict import Verdict

STYLES: Mapping[str, str] = {"within": "bold green", "warning": "bold yellow", "over": "bold red"}
"""Colour of a verdict on a terminal."""

SHOWN_FLAVORS: Mapping[str, tuple[str, ...]] = {rates.CPU: ("m3.quad", "m3.medium")}
"""Flavors that a table counts nodes of when the plan names none; of other resources the two cheapest."""

REPORT_COLUMNS = (
    "model",
    "SU delta",
    "80 % interval",
    "runs dry",
    "burn SU/h",
    "break-even SU/h",
    "nodes to add (+) or remove (-)",
)
SIMULATE_COLUMNS = (
    "model",
    "SU delta before",
    "after",
    "80 % interval after",
    "runs dry before",
    "after",
    "burn SU/h before",
    "after",
)


def show_table(console: Console, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under their columns; all but the first are numbers and aligned as such."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False, highlight=False)


def show_report(console: Console, report: Report) -> None:
    """Prints the verdict, what it rests on, and each model's figures."""
    show_head(console, report, report.verdict)
    terminal.say(console)
    show_table(console, REPORT_COLUMNS, report_rows(report))
    terminal.say(console)
    for line in notes(report):
        terminal.say(console, line)


def show_simulation(console: Console, before: Report, after: Report) -> None:
    """Prints the verdict with the changes, the one without, and the figures of both side by side."""
    show_head(console, after, after.verdict)
    terminal.say(console, f"Without the change: {before.verdict.sentence}")
    terminal.say(console)
    show_table(console, SIMULATE_COLUMNS, simulation_rows(before, after))
    terminal.say(console)
    for line in notes(after):
        terminal.say(console, line)


def show_backtest(console: Console, resource: str, scores: Iterable[Score]) -> None:
    """Prints how well each model did over each horizon."""
    terminal.say(
        console, f"{resource}: error and bias as part of what was burnt; the interval should hold 80 %"
    )
    terminal.say(console)
    show_table(
        console,
        ("model", "days ahead", "trials", "mean error", "bias", "in the interval"),
        [
            [
                score.model,
                str(score.horizon_days),
                str(score.trials),
                f"{score.error:.1%}",
                f"{score.bias:+.1%}",
                f"{score.coverage:.0%}",
            ]
            for score in scores
        ],
    )


def show_agreement(console: Console, resource: str, made: Agreement) -> None:
    """Prints how the reported use of a resource agrees with the computed, and by day."""
    terminal.say(console, f"{resource}: {made.sentence}")
    terminal.say(console)
    show_table(
        console,
        ("day (UTC)", "reported SU", "computed SU", "ratio"),
        [
            [
                str(day.day),
                f"{day.reported:,.1f}",
                f"{day.computed:,.1f}",
                "" if day.ratio is None else f"{day.ratio:.2f}",
            ]
            for day in made.days
        ],
    )


def show_head(console: Console, report: Report, verdict: Verdict) -> None:
    """Prints the verdict in its colour, and the allocation it is about."""
    terminal.say(console, verdict.sentence, style=STYLES[verdict.level])
    terminal.say(console, allocation_line(report))


def allocation_line(report: Report) -> str:
    """The resource, its SU, dates and use, and how old the newest figure is."""
    current = report.current
    share = f" ({report.used / current.allocated:.1%})" if current.allocated else ""
    return (
        f"{report.resource}: {report.used:,.0f} of {current.allocated:,.0f} SU used{share}, "
        f"{day(current.starts_at)} to {last_day(current.ends_at)}; "
        f"newest figure {clock(report.data_until)}, {age(report.data_age_hours)} old"
    )


def report_rows(report: Report) -> list[list[str]]:
    """One row per model, under ``REPORT_COLUMNS``."""
    flavors = shown_flavors(report)
    return [
        [
            model,
            f"{verdict.su_delta:+,.0f}",
            interval(verdict),
            dry(verdict),
            f"{verdict.burn_su_per_hour:,.1f}",
            f"{verdict.break_even_su_per_hour:,.1f}",
            ", ".join(f"{verdict.nodes[flavor]:+d} {flavor}" for flavor in flavors),
        ]
        for model, verdict in report.verdicts.items()
    ]


def simulation_rows(before: Report, after: Report) -> list[list[str]]:
    """One row per model, under ``SIMULATE_COLUMNS``."""
    rows = []
    for model, now in after.verdicts.items():
        was = before.verdicts[model]
        rows.append(
            [
                model,
                f"{was.su_delta:+,.0f}",
                f"{now.su_delta:+,.0f}",
                interval(now),
                dry(was),
                dry(now),
                f"{was.burn_su_per_hour:,.1f}",
                f"{now.burn_su_per_hour:,.1f}",
            ]
        )
    return rows


def notes(report: Report) -> list[str]:
    """What else there is to know, each in one line: fallbacks, segments, the reserve, other resources."""
    lines = [
        f"{model}: {made.fallback}" for model, made in report.forecasts.items() if made.fallback is not None
    ]
    if len(report.segments) > 1:
        begun = ", ".join(f"{segment.reason} {day(segment.times[0])}" for segment in report.segments)
        lines.append(f"Segments in the ledger: {begun}")
    belied = sum(
        np.count_nonzero(segment.reported != segment.used)
        for segment in report.segments
        if segment.reported is not None
    )
    if belied:
        lines.append(
            f"Figures that fell, so that others before or after belie them: {belied}, taken as those say"
        )
    if report.plan.reserve_su:
        lines.append(f"The SU delta is what is left beyond the reserve of {report.plan.reserve_su:,.0f} SU")
    if report.agreement is not None:
        lines.append(f"Reported and computed use: {report.agreement.sentence}")
    if report.others:
        lines.append(f"The ledger also has {', '.join(report.others)}: see them by --resource")
    return lines


def problems(report: Report) -> list[str]:
    """What is amiss with the figures, each in one line."""
    lines = []
    if report.data_age_hours > STALE_HOURS:
        lines.append(
            f"The newest figure is {age(report.data_age_hours)} old: does cron still run "
            "`python -m allocation record`?"
        )
    return [*lines, *bad_lines(report.path, report.bad, "left out")]


def bad_lines(path: Path, bad: Sequence[BadLine], fate: str) -> list[str]:
    """What to tell of a ledger's bad lines: nothing if there are none, else one line."""
    if not bad:
        return []
    first = f"line {bad[0].number} {bad[0].reason}"
    return [f"{path}: bad lines, {fate}: {len(bad)}; the first: {first}"]


def rates_source() -> str:
    """Where the rates are known from, as the module that has them says."""
    _, *rest = (rates.__doc__ or "").split("\n\n")
    return " ".join(" ".join(rest).replace("``", "").split())


def curves(report: Report) -> list[Curve]:
    """Each model's forecast, for a picture of a report."""
    return [_curve(report, model, model, LOOKS[model]) for model in report.forecasts]


def curves_beside(before: Report, after: Report) -> list[Curve]:
    """The deciding model's forecast without a change and with it, for a picture of both."""
    model = after.deciding
    return [
        _curve(before, model, f"{model}, without the change", BEFORE),
        _curve(after, model, f"{model}, with the change", LOOKS[model]),
    ]


def _curve(report: Report, model: Model, name: str, look: Look) -> Curve:
    verdict = report.verdicts[model]
    label = f"{name}: {verdict.su_delta:+,.0f} SU (80 %: {interval(verdict)})"
    return Curve(label, report.forecasts[model], look)


def shown_flavors(report: Report) -> list[str]:
    """The flavors that a table counts nodes of: those of the plan's pools at the time, else the usual."""
    stage = report.plan.stage_at(report.now)
    planned = {pool.flavor for pool in stage.pools.values()} if stage else set()
    usual = SHOWN_FLAVORS.get(report.resource, tuple(report.verdict.nodes)[:2])
    return [flavor for flavor in report.verdict.nodes if flavor in (planned or usual)]


def interval(verdict: Verdict) -> str:
    """The 80 % interval of the SU delta."""
    return f"{verdict.su_delta_low:+,.0f} to {verdict.su_delta_high:+,.0f}"


def dry(verdict: Verdict) -> str:
    """The day (UTC) on which the allocation runs dry; empty if it lasts."""
    return "" if verdict.runs_dry_at is None else f"{verdict.runs_dry_at:%Y-%m-%d}"


def day(seconds: float) -> str:
    """A day in UTC."""
    return f"{times.utc(seconds):%Y-%m-%d}"


def last_day(ends_at: float) -> str:
    """The last day of an allocation that is over at a moment."""
    return f"{datetime.fromtimestamp(ends_at, UTC) - timedelta(seconds=1):%Y-%m-%d}"


def clock(seconds: float) -> str:
    """A time in UTC, to the minute."""
    return f"{times.utc(seconds):%Y-%m-%d %H:%M} UTC"


def age(hours: float) -> str:
    """A duration in hours, or from two days on in days."""
    return f"{hours:.0f} h" if hours < STALE_HOURS else f"{hours / 24:.0f} days"
