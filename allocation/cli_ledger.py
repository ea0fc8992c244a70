"""The commands that fill the ledger and show what is in it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from allocation import drift, history, ledger, options, rates, report, samples, tables, terminal
from allocation.errors import AllocationError
from allocation.ledger import BadLine
from allocation.plan import read_plan


def register(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    app.command(
        "record", epilog="Example, for cron: python -m allocation record --ledger usage.csv --cloud mine"
    )(record_command)
    app.command(
        "import", epilog="Example: python -m allocation import usage_monitoring.csv --ledger usage.csv"
    )(import_command)
    app.command("export", epilog="Example: python -m allocation export --ledger usage.csv --format json")(
        export_command
    )
    app.command("drift", epilog="Example: python -m allocation drift --ledger usage.csv")(drift_command)
    app.command("rates", epilog="Example: python -m allocation rates --json")(rates_command)


def record_command(
    *,
    ledger_file: options.LedgerFile,
    cloud: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An entry of clouds.yaml. Default: the variables OS_*."),
    ] = None,
    plan_file: options.PlanFile = None,
    now: options.Now = None,
) -> None:
    """Fetch today's figures and append a row per resource; then a sample of the burn of the servers that run.

    Of the plan only `rates:` counts here: what servers of unlisted flavors burn.

    Silent when all is well and no terminal is there, else one line per problem. Exit status 1 if nothing
    could be recorded.
    """
    if cloud is None and "OS_AUTH_URL" not in os.environ:
        other = os.environ.get("OS_CLOUD")
        raise AllocationError(
            f"no cloud is named, and OS_CLOUD alone is not followed; give --cloud {other}"
            if other
            else "no cloud is named; give --cloud with an entry of clouds.yaml, or source the file of an "
            "application credential, which sets OS_AUTH_URL and others"
        )
    own_rates = read_plan(plan_file).rates if plan_file else {}
    with terminal.working("Asking the cloud"):
        # What speaks to a cloud takes half a second to load, which the other commands need not wait for.
        from allocation import keystone, recording

        session, region = keystone.session(cloud)
        moment = time.time() if now is None else now
        done = recording.record(ledger_file, session, region=region, now=moment, own_rates=own_rates)
    if sys.stdout.isatty():
        for row in done.rows:
            terminal.say(
                terminal.output(),
                f"recorded: {row.resource}, {row.used:,.1f} of {row.allocated:,.0f} SU used",
            )
    for problem in done.problems:
        terminal.warn(problem)
    _tell_bad(ledger_file, done.bad, f"moved to {ledger.side_file(ledger_file)}")


def import_command(
    *,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Another ledger; it is not changed.")],
    ledger_file: options.LedgerFile,
    now: options.Now = None,
    as_json: options.Json = False,
) -> None:
    """Add another ledger's rows that this one does not have yet: all, or none if that fails."""
    done = ledger.import_rows(ledger_file, source, now=now)
    if as_json:
        terminal.say_json(
            {
                "added": done.added,
                "known": done.known,
                "unreadable": len(done.unreadable),
                "moved": len(done.bad),
            }
        )
    else:
        terminal.say(terminal.output(), f"{done.added:,} rows added, {done.known:,} were there already")
    _tell_bad(source, done.unreadable)
    _tell_bad(ledger_file, done.bad, f"moved to {ledger.side_file(ledger_file)}")


def export_command(
    *,
    ledger_file: options.LedgerFile,
    form: Annotated[ledger.Format, typer.Option("--format", help="What to print.")] = "csv",
    now: options.Now = None,
) -> None:
    """Print the ledger's good rows in order of time, as CSV or JSON."""
    book = ledger.read(ledger_file, now=now)
    sys.stdout.write(ledger.export(book, form))
    _tell_bad(ledger_file, book.bad)


def drift_command(
    *, ledger_file: options.LedgerFile, now: options.Now = None, as_json: options.Json = False
) -> None:
    """Compare the reported use with what the servers should have burnt, by day, and say how far it trails."""
    moment = time.time() if now is None else now
    book = ledger.read(ledger_file, now=moment)
    found = samples.read(ledger_file)
    known = [sample for sample in found.rows if sample.timestamp <= moment]
    sampled = {sample.resource for sample in known}
    agreements = {
        resource: drift.agreement(past, known)
        for resource, segments in book.segments.items()
        if resource in sampled and (past := history.until(segments, moment))
    }
    if not agreements:
        raise AllocationError(
            f"there are no samples of the computed burn in {samples.beside(ledger_file)}; "
            "each `record` adds one"
        )
    if as_json:
        terminal.say_json({resource: report.agreement_as_json(made) for resource, made in agreements.items()})
    else:
        for resource, made in agreements.items():
            tables.show_agreement(terminal.output(), resource, made)
    _tell_bad(ledger_file, book.bad)
    _tell_bad(samples.beside(ledger_file), found.bad)


def rates_command(as_json: options.Json = False) -> None:
    """Show what servers cost by flavor and state, and where that is known from."""
    if as_json:
        terminal.say_json(
            {
                "su_per_hour": dict(rates.RATES),
                "su_per_hour_and_vcpu": dict(rates.FAMILY_FACTORS),
                "state_factors": dict(rates.STATE_FACTORS),
                "source": tables.rates_source(),
            }
        )
        return
    console = terminal.output()
    tables.show_table(
        console, ("flavor", "SU/h"), [[name, f"{rate:g}"] for name, rate in rates.RATES.items()]
    )
    terminal.say(console)
    tables.show_table(
        console,
        ("state", "part charged"),
        [[name, f"{part:g}"] for name, part in rates.STATE_FACTORS.items()],
    )
    terminal.say(console)
    terminal.say(console, tables.rates_source())


def _tell_bad(path: Path, bad: Sequence[BadLine], fate: str = "left out") -> None:
    for line in tables.bad_lines(path, bad, fate):
        terminal.warn(line)
