"""One decision of the budget ladder, from settings and figures. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from allocation import ladder
from allocation.history import Segment, until
from allocation.ladder import Decision, Reading, Rung
from allocation.plan import Nodes, Plan, Pool
from allocation.reading import Past, reading
from allocation.times import HOUR, utc
from stacks import rungs
from stacks.rung_file import Standing, by_title
from stacks.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ruling:
    """A decision, and all that it rests on.

    Attributes:
        decision: the rung from now on, why, and what would lift it.
        before: the rung until now.
        reading: the figures; None where there were none.
        data_age_hours: age of the newest figure; None where there was none.
        stale: why the figures are not to be relied on; None if they are.
        now: seconds since the epoch.
    """

    decision: Decision
    before: Rung
    reading: Reading | None
    data_age_hours: float | None
    stale: str | None
    now: float

    def as_json(self) -> dict[str, object]:
        """A line of the log: times in ISO 8601, SU, SU/h, hours."""
        state, figures = self.decision.state, self.reading
        return {
            "at": f"{utc(self.now):%Y-%m-%dT%H:%M:%SZ}",
            "rung_before": self.before.title,
            "rung": state.rung.title,
            "since": f"{utc(state.since):%Y-%m-%dT%H:%M:%SZ}" if state.since else None,
            "why": self.decision.why,
            "lifts": self.decision.lifts,
            "spendable_su": None if figures is None else round(figures.spendable, 1),
            "expected_su": None if figures is None else round(figures.expected, 1),
            "pressure": None
            if figures is None or figures.spendable <= 0
            else round(figures.expected / figures.spendable, 3),
            "ceiling_above_floor_su_per_hour": None if figures is None else figures.ceiling_above_floor,
            "hours_left": None if figures is None else round(figures.hours_left, 1),
            "data_age_hours": None if self.data_age_hours is None else round(self.data_age_hours, 1),
            "stale": self.stale,
        }


def rule(
    settings: Settings,
    segments: Sequence[Segment],
    known: Plan,
    fixed: Sequence[Nodes],
    standing: Standing,
    *,
    now: float,
    failed: str | None = None,
) -> Ruling:
    """Decides once.

    Args:
        settings: as they are written, not as a rung has them.
        segments: the ledger's figures of one resource; may be empty.
        known: what is known besides.
        fixed: nodes that always run.
        standing: where the ladder stands.
        now: seconds since the epoch.
        failed: why this run's figures could not be fetched; None if they were.

    Raises:
        AllocationError: if a flavor has no rate, or nothing of the plan burns the resource.
    """
    past = until(segments, now)
    age = (now - float(past[-1].times[-1])) / HOUR if past else None
    stale = failed or _stale(settings, past, age, now)
    figures = None
    if past and past[-1].ends_at > now:
        figures = reading(
            past,
            known,
            fixed=fixed,
            normal=_planned(settings, Rung.NORMAL),
            past=[
                Past(since=state.since, pools=_planned(settings, state.rung))
                for state in standing.states
                if 0 < state.since < now
            ],
            open_pools=_planned(settings, min(standing.state.rung, Rung.NO_NEW_SERVERS)),
            settle_hours=float(rungs.braked(settings, Rung.NO_NEW_SERVERS).culling.max_age_hours),
            now=now,
        )
    return Ruling(
        decision=_decision(settings, standing, figures, stale, now),
        before=standing.state.rung,
        reading=figures,
        data_age_hours=age,
        stale=stale,
        now=now,
    )


def _decision(
    settings: Settings, standing: Standing, figures: Reading | None, stale: str | None, now: float
) -> Decision:
    if settings.budget.rung != "auto":
        return ladder.pin(standing.state, by_title(settings.budget.rung), now)
    if figures is None:
        return Decision(
            state=standing.state, why=f"it stays where it was, since {stale}", lifts="figures to decide on"
        )
    return ladder.decide(standing.state, figures, stale=stale)


def _stale(settings: Settings, past: Sequence[Segment], age: float | None, now: float) -> str | None:
    """What is wrong with the figures, in words."""
    if age is None:
        return "the ledger has no figure"
    if past[-1].ends_at <= now:
        return f"the allocation that the ledger knows of is over since {utc(past[-1].ends_at):%Y-%m-%d}"
    if age > settings.budget.stale_hours:
        return (
            f"the newest figure is {age:,.0f} h old "
            f"(gateway:budget.stale_hours is {settings.budget.stale_hours})"
        )
    return None


def _planned(settings: Settings, rung: Rung) -> dict[str, Pool]:
    return {
        name: Pool(flavor=pool.flavor, min=pool.min, max=pool.max)
        for name, pool in rungs.pools(settings, rung).items()
    }
