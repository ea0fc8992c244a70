"""The words and the table that a preview shows of a change of the node pools. Pure."""

from __future__ import annotations

from collections.abc import Callable

from allocation.change import Change, Side
from allocation.verdict import Verdict
from stacks.settings import Budget

REFUSED = "The change is refused"
"""How every refusal begins, by which a scheduled run knows one."""

Row = tuple[str, Callable[[Side], str]]


def table(change: Change) -> str:
    """Burn, SU delta and the day the SU run dry, before and after the change, and one sentence."""
    rows = _burn(change.hours_left) + (_outlook() if change.after.planned else [])
    lines = [("price of the node pools", "before", "after")]
    for name, show in rows:
        lines.append((name, "–" if change.before is None else show(change.before), show(change.after)))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = [
        f"{name.ljust(widths[0])}  {before.rjust(widths[1])}  {after.rjust(widths[2])}"
        for name, before, after in lines
    ]
    verdict = change.after.planned
    sentence = (
        verdict.sentence if verdict else "Without figures it is not known whether the allocation lasts."
    )
    return "\n".join([*text, sentence])


def refusal(change: Change) -> str:
    """Why a change is refused, and what would fit."""
    verdict = change.after.planned
    fitting = " or ".join(
        f"{name} with min {pool.min} and max {pool.max}" for name, pool in change.fits.items()
    )
    cure = (
        f"What would fit: {fitting}, all else as asked for."
        if fitting
        else "No smaller growth would fit: lower other pools, or ask for a supplement."
    )
    return (
        f"{REFUSED}, as gateway:budget.policy is enforce. {verdict.sentence if verdict else ''}\n"
        f"{cure}\n"
        "To go ahead all the same: pulumi config set --path gateway:budget.policy advise"
    )


def missing_words(budget: Budget, change: Change) -> str | None:
    """What a forecast lacks, in words; None if it has all."""
    if budget.ledger is None:
        return "gateway:budget.ledger names no file; `python -m allocation record --ledger FILE` makes one"
    cure = f"`python -m allocation record --ledger {budget.ledger}` adds one"
    if change.data_age_hours is None:
        return f"gateway:budget.ledger is {budget.ledger}, which has no figure yet; {cure}"
    if change.hours_left is not None and change.hours_left <= 0:
        return f"the allocation that {budget.ledger} knows of is over; {cure} of the next"
    if change.data_age_hours > budget.stale_hours:
        return (
            f"the newest figure in {budget.ledger} is {change.data_age_hours:,.0f} h old "
            f"(gateway:budget.stale_hours is {budget.stale_hours}); {cure}"
        )
    return None


def _burn(hours: float | None) -> list[Row]:
    """What the nodes burn, per hour and, where the end is known, to the end."""

    def expected(side: Side) -> float | None:
        return side.planned.burn_su_per_hour if side.planned else None

    rates: list[tuple[str, Callable[[Side], float | None]]] = [
        ("floor", lambda side: side.floor),
        *([("expected", expected)] if hours is not None else []),
        ("ceiling", lambda side: side.ceiling),
    ]
    rows: list[Row] = [
        (f"{name}, SU/h", lambda side, rate=rate: _number(rate(side), ",.1f"))  # type: ignore[misc]
        for name, rate in rates
    ]
    if hours is not None:
        rows += [
            (f"{name}, SU to the end", lambda side, rate=rate: _number(rate(side), ",.0f", max(hours, 0)))  # type: ignore[misc]
            for name, rate in rates
        ]
    return rows


def _outlook() -> list[Row]:
    """What becomes of the allocation."""
    return [
        ("SU delta at the end", lambda side: _delta(side.planned)),
        ("  its 80 % interval", lambda side: _interval(side.planned)),
        ("  by the month's line", lambda side: _delta(side.line)),
        ("runs dry", lambda side: _dry(side.planned)),
    ]


def _number(rate: float | None, form: str, hours: float = 1) -> str:
    return "–" if rate is None else format(rate * hours, form)


def _delta(verdict: Verdict | None) -> str:
    return "–" if verdict is None else f"{verdict.su_delta:+,.0f}"


def _interval(verdict: Verdict | None) -> str:
    return "–" if verdict is None else f"{verdict.su_delta_low:+,.0f} to {verdict.su_delta_high:+,.0f}"


def _dry(verdict: Verdict | None) -> str:
    if verdict is None:
        return "–"
    return "not before the end" if verdict.runs_dry_at is None else f"{verdict.runs_dry_at:%Y-%m-%d}"
