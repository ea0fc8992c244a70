"""The service's books: the clock, the allocation, and what was used of it. One file, replaced as a whole.

Usage is kept as readings: the time at which the burn rate changed, the SU used by then, the rate from then
on. Between two readings usage is a straight line, so nothing has to be written while nothing changes, a kill
loses at most one look at Nova, and no hour can be counted twice.
"""

from __future__ import annotations

import bisect
import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import pydantic

from lab import paths
from lab.accounting.clock import Clock, real_clock
from lab.accounting.rates import CPU
from lab.errors import LabError
from lab.private_files import write_private

FILE = paths.STATE / "accounting" / "books.json"
LOCK = FILE.with_name("lock")

LAG = 18 * 3600.0
"""Seconds that lagging figures are behind (Jetstream2's are 12 to 24 hours behind), and readings are kept."""

DEFAULT_SU = 100_000.0


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Reading(_Model):
    """SU used at a time (seconds since the epoch) and the burn rate (SU/h) from then on."""

    time: float
    used: float
    burn: float

    def used_at(self, time: float) -> float:
        """SU used by a time while this rate holds; before the reading as much as at it."""
        return self.used + self.burn * max(0.0, time - self.time) / 3600


class Allocation(_Model):
    """SU granted, and the first and last day on which they may be used."""

    allocated: float = pydantic.Field(ge=0)
    start: date
    end: date


class Past(Allocation):
    """An allocation that was replaced, with the SU used of it."""

    used: float


class Books(_Model):
    """All that the service knows.

    Attributes:
        meters: readings by resource, in order of time, at least one each.
        unknown: flavors of running servers that have no rate.
    """

    clock: Clock
    allocation: Allocation
    past: Past
    meters: Mapping[str, tuple[Reading, ...]]
    unknown: tuple[str, ...] = ()

    def used(self, resource: str, time: float) -> float:
        """SU used of a resource by a time; before the first reading as much as at it."""
        readings = self.meters[resource]
        index = bisect.bisect_right(readings, time, key=lambda reading: reading.time)
        return readings[max(0, index - 1)].used_at(time)

    def burn(self, resource: str) -> float:
        """SU/h of a resource now."""
        return self.meters[resource][-1].burn

    def metered(self, burn: Mapping[str, float], unknown: list[str], *, real: float) -> Books:
        """The books after a look at the servers; the same object if they burn what they did.

        Args:
            burn: SU/h by resource, in force from now on.
            unknown: flavors without a rate.
            real: the real time, seconds since the epoch.
        """
        now = self.clock.at(real)
        changed = {}
        for resource in sorted({*self.meters, *burn}):
            rate = burn.get(resource, 0.0)
            readings = self.meters.get(resource, (Reading(time=now, used=0, burn=0),))
            if readings[-1].burn != rate:
                reading = Reading(time=now, used=readings[-1].used_at(now), burn=rate)
                changed[resource] = (*_recent(readings, now - LAG), reading)
        if not changed and tuple(unknown) == self.unknown:
            return self
        return self.model_copy(update={"meters": {**self.meters, **changed}, "unknown": tuple(unknown)})

    def granted(self, allocation: Allocation, *, real: float) -> Books:
        """The books with another allocation. One with another first day is a renewal: usage begins at 0."""
        if allocation.start == self.allocation.start:
            return self.model_copy(update={"allocation": allocation})
        now = self.clock.at(real)
        past = Past(**self.allocation.model_dump(), used=self.used(CPU, now))
        meters = {resource: (_fresh(now, readings[-1].burn),) for resource, readings in self.meters.items()}
        return self.model_copy(update={"allocation": allocation, "past": past, "meters": meters})


def opened(real: float, burn: Mapping[str, float] | None = None) -> Books:
    """New books: the clock shows the real time, nothing is used of the default allocation.

    That is ``DEFAULT_SU`` for one year, half of which is over. The year before it has a record of its own,
    since Jetstream2 goes on listing allocations that are over.

    Args:
        real: the real time, seconds since the epoch.
        burn: SU/h by resource from now on; none by default.
    """
    start = day(real) - timedelta(days=182)
    allocation = Allocation(allocated=DEFAULT_SU, start=start, end=start + timedelta(days=364))
    past = Past(
        allocated=DEFAULT_SU,
        start=start - timedelta(days=365),
        end=start - timedelta(days=1),
        used=0.9 * DEFAULT_SU,
    )
    meters = {resource: (_fresh(real, rate),) for resource, rate in {CPU: 0.0, **(burn or {})}.items()}
    return Books(clock=real_clock(real), allocation=allocation, past=past, meters=meters)


def day(time: float) -> date:
    """The day in UTC of a time in seconds since the epoch."""
    return datetime.fromtimestamp(time, UTC).date()


def load() -> Books:
    """Reads the books.

    Raises:
        LabError: if there are none yet, or the file does not hold them.
    """
    try:
        return Books.model_validate_json(FILE.read_bytes())
    except FileNotFoundError:
        raise LabError("The lab's accounting has not started yet. Run `python -m lab up`.") from None
    except pydantic.ValidationError as error:
        raise LabError(
            f"{FILE} does not hold the accounting's books. `python -m lab clock --reset` begins new ones."
        ) from error


def save(books: Books) -> None:
    """Replaces the books in one step. Only for who holds ``alone``."""
    write_private(FILE, books.model_dump_json(indent=1))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One writer at a time: the service looks at Nova and the command line jumps, each read-change-write."""
    LOCK.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fresh(time: float, burn: float) -> Reading:
    return Reading(time=time, used=0, burn=burn)


def _recent(readings: tuple[Reading, ...], time: float) -> tuple[Reading, ...]:
    """The readings that tell of a time and later: those after it and the one before."""
    index = bisect.bisect_right(readings, time, key=lambda reading: reading.time)
    return readings[max(0, index - 1) :]
