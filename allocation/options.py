"""The options that several commands share. A value that cannot be read is a usage error: exit status 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from allocation import plot, times, what_if
from allocation.errors import AllocationError
from allocation.forecast import MODELS, Model

Parsed = TypeVar("Parsed")


def reader(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """A parser for an option, whose errors become usage errors."""

    def read(text: str) -> Parsed:
        try:
            return parse(text)
        except AllocationError as error:
            raise typer.BadParameter(str(error)) from None

    return read


def model(text: str) -> str:
    """The name of a model. Raises AllocationError if there is none of that name."""
    if text not in MODELS:
        raise AllocationError(f"there is no model {text!r}; there are {', '.join(MODELS)}")
    return text


def chosen(names: Sequence[str] | None) -> Sequence[Model]:
    """The models of some names, in their usual order; all of them for none."""
    return [known for known in MODELS if known in names] if names else MODELS


def picture(text: str) -> Path:
    """A file's name, if it is one of a picture that can be drawn. Raises AllocationError otherwise."""
    path = Path(text)
    plot.check_suffix(path)
    return path


LedgerFile = Annotated[
    Path, typer.Option("--ledger", metavar="FILE", help="The ledger: a CSV file of daily figures.")
]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="The plan: pools, classes and breaks, in YAML."),
]
Resource = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which resource. Default: the plan's, the only one, or Jetstream2's CPU resource.",
    ),
]
Now = Annotated[
    float | None,
    typer.Option(
        "--now",
        metavar="TIME",
        parser=reader(times.parse_time),
        help="Take this as the present, such as 2026-08-24T13:00Z. Default: the clock.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        parser=reader(model),
        help=f"A model to ask: {', '.join(MODELS)}; may be repeated. Default: all.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for scripts.")]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", parser=reader(picture), help="Also draw a picture: FILE.png or FILE.svg."
    ),
]
Pools = Annotated[
    list[what_if.PoolChange] | None,
    typer.Option(
        "--pool",
        metavar="NAME=FLAVOR:MIN:MAX",
        parser=reader(what_if.parse_pool),
        help="Add or change a pool, or take it away with NAME=none; may be repeated.",
    ),
]
Classes = Annotated[
    list[what_if.Days] | None,
    typer.Option(
        "--class",
        metavar="FIRST/LAST",
        parser=reader(what_if.parse_class),
        help="Days of a class, such as 2026-08-24/2026-12-11; may be repeated.",
    ),
]
Breaks = Annotated[
    list[what_if.Days] | None,
    typer.Option(
        "--break",
        metavar="FIRST/LAST",
        parser=reader(what_if.parse_break),
        help="Days of a break; may be repeated.",
    ),
]
Since = Annotated[
    float | None,
    typer.Option(
        "--since",
        metavar="TIME",
        parser=reader(times.parse_time),
        help="When the pools change. Default: now.",
    ),
]
