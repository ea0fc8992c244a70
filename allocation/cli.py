"""``python -m allocation``: the command line, and the commands that ask the models."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence

import typer

from allocation import (
    backtest,
    cli_ledger,
    history,
    ledger,
    options,
    plot,
    report,
    samples,
    tables,
    terminal,
    what_if,
)
from allocation.errors import AllocationError
from allocation.plan import Plan, read_plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The allocation: what has been burnt, what will be, and what to do about it.",
    epilog="Example: python -m allocation record --ledger usage.csv --cloud mine && "
    "python -m allocation report --ledger usage.csv --plan plan.yaml",
)
cli_ledger.register(app)


@app.command(
    name="report",
    epilog="Example: python -m allocation report --ledger usage.csv --plan plan.yaml --plot usage.png",
)
def report_command(
    *,
    ledger_file: options.LedgerFile,
    plan_file: options.PlanFile = None,
    resource: options.Resource = None,
    now: options.Now = None,
    models: options.Models = None,
    as_json: options.Json = False,
    picture: options.Picture = None,
) -> None:
    """Say whether the allocation lasts, by each model. Exit status: 0 it does, 3 it may not, 4 it does not.

    The status is the planned model's, or that of the only model asked for.
    """
    moment = time.time() if now is None else now
    with terminal.working("Asking the models"):
        found = samples.read(ledger_file)
        made = report.report(
            ledger.read(ledger_file, now=moment),
            plan=read_plan(plan_file) if plan_file else Plan(),
            now=moment,
            resource=resource,
            models=options.chosen(models),
            samples=found.rows,
        )
        if picture is not None:
            plot.plot(
                picture,
                segments=made.segments,
                curves=tables.curves(made),
                reserve_su=made.plan.reserve_su,
                title=made.verdict.sentence,
            )
    if as_json:
        terminal.say_json(report.as_json(made))
    else:
        tables.show_report(terminal.output(), made)
    for problem in (
        *tables.problems(made),
        *tables.bad_lines(samples.beside(ledger_file), found.bad, "left out"),
    ):
        terminal.warn(problem)
    raise typer.Exit(made.status)


@app.command(
    epilog="Example: python -m allocation simulate --ledger usage.csv --plan plan.yaml "
    "--pool high=m3.medium:1:20 --class 2027-01-11/2027-05-07 --since 2027-01-04"
)
def simulate(
    *,
    ledger_file: options.LedgerFile,
    plan_file: options.PlanFile = None,
    resource: options.Resource = None,
    now: options.Now = None,
    models: options.Models = None,
    pools: options.Pools = None,
    classes: options.Classes = None,
    breaks: options.Breaks = None,
    since: options.Since = None,
    as_json: options.Json = False,
    picture: options.Picture = None,
) -> None:
    """What if pools change, or days become classes or breaks? Exit status as `report`, with the changes.

    Changes of pools hold from --since on, also in later stages of the plan. Only the planned model knows of
    them; the lines are the same before and after.
    """
    if not (pools or classes or breaks):
        raise typer.BadParameter("nothing is to change; give --pool, --class or --break")
    moment = time.time() if now is None else now
    if since is not None and since < moment:
        raise typer.BadParameter("--since is in the past; what has been is told by the stages of the plan")
    with terminal.working("Asking the models twice"):
        book = ledger.read(ledger_file, now=moment)
        plan = read_plan(plan_file) if plan_file else Plan()
        other = what_if.changed(
            plan,
            since=moment if since is None else since,
            pools=pools or (),
            days=[*(classes or ()), *(breaks or ())],
        )
        before, after = (
            report.report(book, plan=known, now=moment, resource=resource, models=options.chosen(models))
            for known in (plan, other)
        )
        if picture is not None:
            plot.plot(
                picture,
                segments=after.segments,
                curves=tables.curves_beside(before, after),
                reserve_su=after.plan.reserve_su,
                title=after.verdict.sentence,
            )
    if as_json:
        terminal.say_json({"before": report.as_json(before), "after": report.as_json(after)})
    else:
        tables.show_simulation(terminal.output(), before, after)
    for problem in tables.problems(after):
        terminal.warn(problem)
    raise typer.Exit(after.status)


@app.command(
    name="backtest", epilog="Example: python -m allocation backtest --ledger usage.csv --plan plan.yaml"
)
def backtest_command(
    *,
    ledger_file: options.LedgerFile,
    plan_file: options.PlanFile = None,
    now: options.Now = None,
    as_json: options.Json = False,
) -> None:
    """Show how good the forecasts would have been: made each week of the past, against what then came."""
    with terminal.working("Forecasting the past"):
        moment = time.time() if now is None else now
        book = ledger.read(ledger_file, now=moment)
        plan = read_plan(plan_file) if plan_file else Plan()
        resource = report.choose_resource(book, plan.resource)
        scores = backtest.backtest(history.until(book.segments[resource], moment), plan)
    if not scores:
        raise AllocationError(
            f"the ledger {ledger_file} is too short for a backtest of {resource}; it takes "
            f"{backtest.WARM_UP_DAYS + min(backtest.HORIZONS_DAYS)} days of figures within one allocation"
        )
    if as_json:
        terminal.say_json({"resource": resource, "scores": [dataclasses.asdict(score) for score in scores]})
    else:
        tables.show_backtest(terminal.output(), resource, scores)
    for problem in tables.bad_lines(ledger_file, book.bad, "left out"):
        terminal.warn(problem)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0, 1 for a failure told in words, 2 for wrong usage, or as `report`.

    Args:
        arguments: None for the process's own.
    """
    try:
        app(args=arguments, prog_name="python -m allocation")
    except AllocationError as error:
        terminal.warn(str(error))
    except OSError as error:
        terminal.warn(f"The machine refuses: {error}.")
    sys.exit(1)
