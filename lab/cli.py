"""``python -m lab``: the rehearsal cloud's command line."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

from lab import environment, lifecycle, paths, processes
from lab import status as lab_status
from lab.accounting import commands as accounting
from lab.errors import LabError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The rehearsal cloud: real OpenStack and Kubernetes control planes on this machine.",
    epilog='Example: python -m lab up && eval "$(python -m lab env)" && openstack server list',
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]

Answer = TypeVar("Answer")


@app.callback()
def _directly() -> None:
    # For whatever the command asks of the lab itself, and for all that it starts.
    os.environ.update(environment.direct(os.environ))


@app.command()
def up(as_json: Json = False) -> None:
    """Install what is missing, start what does not run, wait for answers. Repairs after a crash."""
    _run(lifecycle.up)
    if as_json:
        print(json.dumps(lab_status.as_dict(lab_status.status()), indent=1))


@app.command()
def down(as_json: Json = False) -> None:
    """Stop every process of the lab. What it holds is kept for the next `up`."""
    _run(lifecycle.down)
    if as_json:
        print(json.dumps({"up": False, "running": processes.known()}))


@app.command()
def status(as_json: Json = False) -> None:
    """Show services, ports, memory and tools. Exit status 1 unless all services answer."""
    found = _run(lab_status.status)
    if as_json:
        print(json.dumps(lab_status.as_dict(found), indent=1))
    else:
        lab_status.show(found, Console())
    raise typer.Exit(0 if found.up else 1)


@app.command(epilog="Example: python -m lab logs magnum --follow")
def logs(
    service: Annotated[str, typer.Argument(help="A service's name, as `status` shows it.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing as the log grows.")] = False,
    as_json: Json = False,
) -> None:
    """Print the end of a service's log."""
    log = processes.log_file(service)
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in paths.LOG.glob("*.log"))) or "none yet"
        _fail(f"There is no log of a service {service!r}. Logs: {known}.")
    if as_json:
        text = log.read_text(errors="replace").splitlines()[-lines:]
        print(json.dumps({"service": service, "file": str(log), "lines": text}, indent=1))
        return
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the lab and remove all it holds: servers, clusters, volumes, Pulumi states. Tools stay cached."""
    if not yes:
        typer.confirm(f"Remove everything in {paths.STATE}?", abort=True)
    _run(lifecycle.reset)
    if as_json:
        print(json.dumps({"up": False, "removed": str(paths.STATE)}))


@app.command(epilog='Example: eval "$(python -m lab env)"')
def env(as_json: Json = False) -> None:
    """Print `export` lines after which pulumi, openstack, kubectl and helm speak to the lab."""
    if as_json:
        print(json.dumps(environment.variables(os.environ), indent=1))
    else:
        print(environment.exports(os.environ))


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its failures told in words; its arguments and help are its own."""

    @functools.wraps(command)
    def told(**arguments: object) -> None:
        _run(lambda: command(**arguments))

    return told


app.command("clock", epilog="Example: python -m lab clock --jump 60d")(_told(accounting.show_clock))
app.command("accounting", epilog="Example: python -m lab accounting --allocated 5000")(
    _told(accounting.show_accounting)
)


def _run(action: Callable[[], Answer]) -> Answer:
    try:
        return action()
    except LabError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"The machine refuses: {error}. `python -m lab up` goes on once that is mended.")
    except KeyboardInterrupt:
        _fail("Interrupted. `python -m lab up` goes on where this stopped.")


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)
