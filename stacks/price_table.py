"""The words and the table that a preview shows of a change of the node pools. Pure."""

from __future__ import annotations

from collections.abc import Callable

from allocation.change import Change, Side
from allocation.verdict import Verdict
from stacks.settings import Budget


def table(change: Change) -> str:
    """Burn, SU delta and the day it runs dry, before and after, in plain text of fixed columns."""
    hours = change.hours_left
    rows: list[tuple[str, Callable[[Side], str]]] = [
        ("floor", lambda side: _burn(side.floor, hours)),
        ("expected", lambda side: _burn(side.planned.burn_su_per_hour if side.planned else None, hours)),
        ("ceiling", lambda side: _burn(side.ceiling, hours)),
        ("SU delta at the end", lambda side: _delta(side.planned)),
        ("  80 % interval", lambda side: _interval(side.planned)),
        ("runs dry", lambda side: _dry(side.planned)),
        ("the line through a month", lambda side: _delta(side.line)),
    ]
    lines = [("price of the node pools", "before", "after")]
    for name, show in rows:
        lines.append((name, "–" if change.before is None else show(change.before), show(change.after)))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    ]
    verdict = change.after.planned
    sentence = verdict.sentence if verdict else "Whether the allocation lasts cannot be told without figures."
    return "\n".join([*text, sentence])


def refusal(change: Change) -> str:
    """Why a change is refused, and what would fit."""
    verdict = change.after.planned
    if change.fits:
        fitting = ", or ".join(f"{name} with max {most}" for name, most in change.fits.items())
        cure = f"What would fit: {fitting}."
    else:
        cure = "No size of the pools that grow would fit; lower another pool's, or ask for a supplement."
    return (
        "The change is refused: gateway:budget.policy is enforce. "
        f"{verdict.sentence if verdict else ''}\n"
        f"{cure} To go ahead all the same: pulumi config set --path gateway:budget.policy advise"
    )


def missing_words(budget: Budget, change: Change) -> str | None:
    """What a forecast lacks, in words; None if it has all."""
    if budget.ledger is None:
        return "gateway:budget.ledger names no file; `python -m allocation record --ledger FILE` makes one"
    if change.data_age_hours is None:
        return (
            f"gateway:budget.ledger is {budget.ledger}, which has no figure yet; "
            f"`python -m allocation record --ledger {budget.ledger}` adds one"
        )
    if change.hours_left is not None and change.hours_left <= 0:
        return f"the allocation that {budget.ledger} knows of is over"
    if change.data_age_hours > budget.stale_hours:
        return (
            f"the newest figure in {budget.ledger} is {change.data_age_hours:,.0f} h old "
            f"(gateway:budget.stale_hours is {budget.stale_hours}); `python -m allocation record` adds one"
        )
    return None


def _burn(rate: float | None, hours: float | None) -> str:
    if rate is None:
        return "unknown"
    whole = "" if hours is None else f" = {rate * max(hours, 0):,.0f} SU to the end"
    return f"{rate:,.1f} SU/h{whole}"


def _delta(verdict: Verdict | None) -> str:
    return "unknown" if verdict is None else f"{verdict.su_delta:+,.0f} SU"


def _interval(verdict: Verdict | None) -> str:
    if verdict is None:
        return "unknown"
    return f"{verdict.su_delta_low:+,.0f} to {verdict.su_delta_high:+,.0f}"


def _dry(verdict: Verdict | None) -> str:
    if verdict is None:
        return "unknown"
    return "lasts" if verdict.runs_dry_at is None else f"{verdict.runs_dry_at:%Y-%m-%d}"
