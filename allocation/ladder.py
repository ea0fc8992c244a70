"""The budget ladder: how hard to brake, from how much of what may still be spent the users are about to
take. Pure.

What the floor burns to the end, and the reserve, are not for spending: they keep the cluster and its data
until the allocation ends. The rest is. *Pressure* is the use above the floor that is expected to the end if
nothing brakes, as a part of that rest: above 1 the allocation runs dry. A rung is climbed when the pressure
reaches its figure, one at a time so that each can show its effect; the last two also when what is left could
be gone before braking works, and then at once. A rung is left when the pressure has fallen well below what
led to it, and not before a day.
"""

from __future__ import annotations

import dataclasses
import enum

from allocation.times import HOUR, utc


class Rung(enum.IntEnum):
    """How hard the gateway brakes; each rung includes those below it."""

    NORMAL = 0
    SHORTER_CULLING = 1
    LOWER_CEILINGS = 2
    HIGH_CLOSED = 3
    NO_NEW_SERVERS = 4
    SHUTDOWN = 5

    @property
    def title(self) -> str:
        """As settings and messages write it."""
        return self.name.lower().replace("_", "-")


CLIMB = {
    Rung.SHORTER_CULLING: 1.0,
    Rung.LOWER_CEILINGS: 1.1,
    Rung.HIGH_CLOSED: 1.3,
    Rung.NO_NEW_SERVERS: 4.0,
}
"""Pressure from which a rung is climbed."""

LEAVE = 0.85
"""Part of the pressure that a rung is climbed at, below which it is left again."""

CLIMB_DWELL = 6 * HOUR
LEAVE_DWELL = 24 * HOUR
"""Seconds on a rung before the next may be climbed, and before it may be left."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Where the ladder stands: the rung, and since when (seconds since the epoch)."""

    rung: Rung
    since: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What a decision rests on.

    Attributes:
        now: seconds since the epoch.
        spendable: SU that may still go to users: granted, less the reserve, less what is used by now at most
            (the hours not yet reported taken at the ceiling), less what the floor takes to the end.
        expected: SU above the floor that users are expected to take to the end if nothing brakes.
        ceiling_above_floor: SU/h between the floor and the ceiling in force; in a shutdown, that of the rung
            below it, which leaving it would bring back.
        settle_hours: hours that servers may go on running once no new one starts.
        hours_left: to the allocation's end.
    """

    now: float
    spendable: float
    expected: float
    ceiling_above_floor: float
    settle_hours: float
    hours_left: float

    @property
    def pressure(self) -> float:
        """Expected as a part of spendable; infinite when nothing may be spent."""
        if self.spendable <= 0:
            return float("inf") if self.expected > 0 or self.spendable < 0 else 0.0
        return self.expected / self.spendable

    @property
    def last_servers(self) -> float:
        """SU that running servers may still take after no new one starts."""
        return self.ceiling_above_floor * min(self.settle_hours + DECISION_HOURS, self.hours_left)

    @property
    def last_drain(self) -> float:
        """SU that go while an orderly shutdown takes place."""
        return self.ceiling_above_floor * min(DRAIN_HOURS + DECISION_HOURS, self.hours_left)


DRAIN_HOURS = 1.0
DECISION_HOURS = 1.0
"""Hours that an orderly shutdown takes, and between one decision and the next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided: the state from now on, why, and what would lift it; in words."""

    state: State
    why: str
    lifts: str


PINNED_WHY, PINNED_LIFTS = "gateway:budget.rung pins it", "gateway:budget.rung auto"
"""Of a rung that the settings insist on."""


def pin(before: State, rung: Rung, now: float) -> Decision:
    """The state on a rung that the settings insist on, whatever the figures say."""
    state = before if before.rung == rung else State(rung=rung, since=now)
    return Decision(state=state, why=PINNED_WHY, lifts=PINNED_LIFTS)


def decide(before: State, reading: Reading, *, stale: str | None = None) -> Decision:
    """The next state of the ladder.

    Args:
        before: where it stood.
        reading: the figures of now.
        stale: why the figures are not to be relied on, or None. No rung is left on such figures, but with
            hours not reported taken at the ceiling one may be climbed.
    """
    rung, why = _next(before, reading)
    if stale is not None and rung < before.rung:
        rung, why = before.rung, f"{why}; no rung is left while {stale}"
    state = before if rung == before.rung else State(rung=rung, since=reading.now)
    return Decision(state=state, why=why, lifts=_lifts(state, reading))


def _next(before: State, reading: Reading) -> tuple[Rung, str]:
    left = f"{max(reading.spendable, 0):,.0f} SU may still go to users"
    if reading.spendable <= reading.last_drain:
        return Rung.SHUTDOWN, f"{left}, and stopping alone may take {reading.last_drain:,.0f}"
    if reading.spendable <= reading.last_servers and before.rung < Rung.NO_NEW_SERVERS:
        return Rung.NO_NEW_SERVERS, f"{left}, and servers that run may take {reading.last_servers:,.0f}"
    return _step(before, reading, f"{left}, and they are expected to take {reading.expected:,.0f}")


def _step(before: State, reading: Reading, told: str) -> tuple[Rung, str]:
    """One rung up, one down, or none."""
    rung, stood = before.rung, reading.now - before.since
    if rung < Rung.NO_NEW_SERVERS:
        above = Rung(rung + 1)
        if reading.pressure >= CLIMB[above]:
            if rung == Rung.NORMAL or stood >= CLIMB_DWELL:
                return above, told
            return rung, f"{told}; the next rung waits to see what this one does"
    if rung > Rung.NORMAL and _may_leave(rung, reading):
        if stood >= LEAVE_DWELL:
            return Rung(rung - 1), told
        return rung, f"{told}; a rung is kept for a day at least"
    return rung, told


def _may_leave(rung: Rung, reading: Reading) -> bool:
    if reading.pressure >= CLIMB.get(rung, CLIMB[Rung.NO_NEW_SERVERS]) * LEAVE:
        return False
    # Twice the margin, so that a server or two do not bring the rung back at once.
    return rung < Rung.NO_NEW_SERVERS or reading.spendable > 2 * reading.last_servers


def _lifts(state: State, reading: Reading) -> str:
    if state.rung == Rung.NORMAL:
        return "nothing to lift"
    limit = CLIMB.get(state.rung, CLIMB[Rung.NO_NEW_SERVERS]) * LEAVE
    earliest = utc(state.since + LEAVE_DWELL)
    now = f"now {reading.pressure:.0%}" if reading.pressure < 1000 else "of which next to nothing is left now"
    words = (
        f"an expected use below {limit:.0%} of what may be spent ({now}), "
        f"not before {earliest:%Y-%m-%d %H:%M} UTC"
    )
    if state.rung >= Rung.NO_NEW_SERVERS:
        words += f", and {2 * reading.last_servers:,.0f} SU to spend"
    return words
