"""Where the budget ladder stands, kept beside the ledger from one run to the next."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from allocation.errors import AllocationError
from allocation.ladder import Decision, Rung, State
from allocation.times import DAY, utc

KEPT = 400 * DAY
"""How long a rung that was left is remembered: what was burnt on it is no measure of what users want."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """The ladder's past and present, and the words of the last decision.

    Attributes:
        states: each rung and since when, in order of time; the last is in force.
        why, lifts: why it stands there, and what would lift it.
    """

    states: tuple[State, ...]
    why: str
    lifts: str

    @property
    def state(self) -> State:
        """The rung in force."""
        return self.states[-1]

    @property
    def sentence(self) -> str:
        """For previews and logs."""
        rung, since = self.state.rung, self.state.since
        when = f" since {utc(since):%Y-%m-%d %H:%M} UTC" if since else ""
        words = f"Budget ladder: {rung.title}{when}; {self.why}."
        return words if rung == Rung.NORMAL else f"{words} It is lifted by {self.lifts}."

    def after(self, decision: Decision) -> Standing:
        """What a decision makes of it."""
        states = self.states
        if decision.state != self.state:
            oldest = decision.state.since - KEPT
            # Of the rungs before the oldest moment the last is still needed: it was in force then.
            gone = sum(1 for state in states[1:] if state.since < oldest)
            states = (*states[gone:], decision.state)
        return Standing(states=states, why=decision.why, lifts=decision.lifts)


START = Standing(
    states=(State(rung=Rung.NORMAL, since=0.0),), why="nothing was decided yet", lifts="nothing to lift"
)


def beside(ledger: Path) -> Path:
    """The file that goes with a ledger."""
    return ledger.with_name(f"{ledger.stem}.rung.json")


def read(path: Path) -> Standing:
    """What the file says; the lowest rung if there is none.

    Raises:
        AllocationError: if it is damaged.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        states = tuple(State(rung=by_title(one["rung"]), since=float(one["since"])) for one in raw["rungs"])
        if not states or list(states) != sorted(states, key=lambda state: state.since):
            raise ValueError("its rungs are not in order")
        utc(states[-1].since)  # which a time that is none does not survive
        return Standing(states=states, why=str(raw["why"]), lifts=str(raw["lifts"]))
    except FileNotFoundError:
        return START
    except OSError as error:
        # Nothing is wrong with the file: to remove it would lift the brake.
        raise AllocationError(
            f"the file {path} of the budget ladder cannot be read ({type(error).__name__}: {error}); "
            "let whoever runs this read it, or pin a rung by gateway:budget.rung"
        ) from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise AllocationError(
            f"the file {path} of the budget ladder cannot be read ({type(error).__name__}: {error}); "
            "remove it to begin at the lowest rung, or pin one by gateway:budget.rung"
        ) from None


def write(path: Path, standing: Standing) -> None:
    """Replaces the file, whole or not at all. One run at a time may.

    Raises:
        OSError: if it cannot be written.
    """
    content = {
        "rungs": [{"rung": state.rung.title, "since": state.since} for state in standing.states],
        "why": standing.why,
        "lifts": standing.lifts,
    }
    new = path.with_name(f"{path.name}.new")
    # Opened as any file, with the permissions of any: another user's preview reads it.
    with new.open("w", encoding="utf-8") as file:
        file.write(f"{json.dumps(content, indent=1)}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def by_title(title: str) -> Rung:
    """The rung of a name, as settings write it.

    Raises:
        ValueError: if there is none of that name.
    """
    for rung in Rung:
        if rung.title == title:
            return rung
    raise ValueError(f"{title!r} is no rung; there are {', '.join(rung.title for rung in Rung)}")
