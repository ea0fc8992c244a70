"""Settings of the allocation: what a change of the pools may cost, and how hard the gateway brakes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from stacks.settings_base import Section, Text

FOLDER = Path(__file__).resolve().parents[1]
"""The project's folder, from which relative paths count, wherever the program was started."""

RungName = Literal[
    "auto", "normal", "shorter-culling", "lower-ceilings", "high-closed", "no-new-servers", "shutdown"
]


class Beside(Section):
    """Servers of the same project that are not the cluster's, such as one that operators log in to."""

    flavor: Text = Field(description="their flavor")
    count: int = Field(ge=1, description="how many always run")


class Budget(Section):
    """The price in every plan, and the brake."""

    policy: Literal["off", "advise", "enforce"] = Field(
        default="advise",
        description="advise shows what a change costs, enforce refuses one that overdraws the allocation",
    )
    ledger: Text | None = Field(
        default=None,
        description="the file that `python -m allocation record` fills",
    )
    plan: Text | None = Field(
        default=None, description="a plan file with the calendar and what ran in the past, as for the report"
    )
    resource: Text | None = Field(
        default=None, description="the accounting resource, such as jetstream2.indiana.xsede.org"
    )
    reserve_su: float = Field(default=0, ge=0, description="SU that shall be left at the end, to save data")
    reporting_lag_hours: float = Field(
        default=18, ge=0, le=72, description="how far the figures trail behind; Jetstream2's by 12 to 24"
    )
    stale_hours: int = Field(
        default=48, ge=1, le=8760, description="age in hours from which the newest figure is called stale"
    )
    require_data: bool = Field(
        default=False, description="true has enforce refuse every change without fresh figures"
    )
    beside: tuple[Beside, ...] = Field(default=(), description="servers beside the cluster that always run")
    rung: RungName = Field(
        default="auto", description="auto follows the forecast, another name pins that rung of the ladder"
    )

    @property
    def ledger_path(self) -> Path | None:
        """Where the ledger is; None if none is named."""
        return _path(self.ledger)

    @property
    def plan_path(self) -> Path | None:
        """Where the plan file is; None if none is named."""
        return _path(self.plan)


def _path(named: str | None) -> Path | None:
    return None if named is None else FOLDER / Path(named).expanduser()
