"""Where the budget ladder stands, kept beside the ledger from one run to the next."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

from allocation.errors import AllocationError
from allocation.ladder import Rung, State
from allocation.times import utc


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """The ladder's state, and the words of the last decision.

    Attributes:
        state: the rung and since when.
        why, lifts: why it stands there, and what would lift it.
    """

    state: State
    why: str
    lifts: str

    @property
    def sentence(self) -> str:
        """For previews and logs."""
        since = utc(self.state.since)
        words = f"Budget ladder: {self.state.rung.title} since {since:%Y-%m-%d %H:%M} UTC, as {self.why}."
        return words if self.state.rung == Rung.NORMAL else f"{words} It is lifted by {self.lifts}."


START = Standing(state=State(rung=Rung.NORMAL, since=0.0), why="nothing was decided yet", lifts="nothing")


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
        return Standing(
            state=State(rung=by_title(raw["rung"]), since=float(raw["since"])),
            why=str(raw["why"]),
            lifts=str(raw["lifts"]),
        )
    except FileNotFoundError:
        return START
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AllocationError(
            f"the file {path} of the budget ladder cannot be read ({error}); "
            "remove it to begin at the lowest rung, or pin one by gateway:budget.rung"
        ) from None


def write(path: Path, standing: Standing) -> None:
    """Replaces the file, whole or not at all."""
    text = json.dumps(
        {
            "rung": standing.state.rung.title,
            "since": standing.state.since,
            "why": standing.why,
            "lifts": standing.lifts,
        },
        indent=1,
    )
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def by_title(title: str) -> Rung:
    """The rung of a name, as settings write it.

    Raises:
        ValueError: if there is none of that name.
    """
    for rung in Rung:
        if rung.title == title:
            return rung
    raise ValueError(f"{title!r} is no rung; there are {', '.join(rung.title for rung in Rung)}")
