"""Measured figures with their targets: shown as a table or as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure and its target, both in the same unit; lower is better.

    Without a target it is shown, and nothing is claimed of it.
    """

    name: str
    unit: str
    value: float
    target: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target holds, if there is one."""
        return self.target is None or self.value <= self.target


def show(figures: Sequence[Figure], *, as_json: bool) -> None:
    """Prints them; ends the program with exit status 1 if a target is missed."""
    if as_json:
        print(json.dumps([{**dataclasses.asdict(figure), "met": figure.met} for figure in figures], indent=1))
    else:
        table = Table("figure", "value", "target", "met")
        for figure in figures:
            table.add_row(
                figure.name,
                f"{figure.value:,.2f} {figure.unit}",
                "none" if figure.target is None else f"{figure.target:,.0f} {figure.unit}",
                "–" if figure.target is None else "yes" if figure.met else "NO",
            )
        Console(width=110).print(table)
    if not all(figure.met for figure in figures):
        raise SystemExit(1)
