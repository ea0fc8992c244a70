"""The log of the scheduled run: a line for each decision, and one for what became of each run."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from allocation.times import utc


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """What became of a run, as far as it came.

    Attributes:
        changes: how many resources the preview would change; None if it came to no preview.
        applied: whether they were changed.
        held: of each pool that is not as asked for, since its change is refused, what it is, in words.
        failed: why the run ended early; None if it did not.
    """

    changes: int | None = None
    applied: bool = False
    held: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failed: str | None = None

    def as_json(self) -> dict[str, object]:
        """As in a line of the log."""
        return {
            "changes": self.changes,
            "applied": self.applied,
            "held": dict(self.held),
            "failed": self.failed,
        }


@contextmanager
def outcome_of_run(ledger: Path, stack: str) -> Iterator[Outcome]:
    """What becomes of the run goes to the log however it ends, be it without a decision.

    Raises:
        OSError: if it cannot be written.
    """
    outcome = Outcome()
    try:
        yield outcome
    except (Exception, KeyboardInterrupt) as error:
        # Its first line: the rest are Pulumi's last words, which the run shows.
        outcome.failed = str(error).partition("\n")[0] or "it was stopped"
        with suppress(OSError):
            write(ledger, {"stack": stack, "at": _now(), **outcome.as_json()})
        raise
    write(ledger, {"stack": stack, "at": _now(), **outcome.as_json()})


def write(ledger: Path, line: Mapping[str, object]) -> None:
    """Adds a line to the log that goes with a ledger.

    Raises:
        OSError: if it cannot be written.
    """
    with ledger.with_name(f"{ledger.stem}.decisions.jsonl").open("a", encoding="utf-8") as log:
        log.write(f"{json.dumps(line)}\n")


def _now() -> str:
    return f"{utc(time.time()):%Y-%m-%dT%H:%M:%SZ}"
