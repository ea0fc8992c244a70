"""A real hub's term as the burn of a gateway: UC Berkeley's DataHub, spring 2023, by a stated rule.

The trace (``benchmarks/traces``) has people a day and how long their sessions lasted, not SU. The rule: a
gateway a twentieth of that size, on m3.medium nodes which four people share, between 1 and 40 nodes, beside
two m3.quad nodes that always run. People × sessions each × mean session make user-hours; these are spread
over the day by a cosine between the quietest and the busiest hour's share; nodes follow hour by hour.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np

from allocation.history import Segment
from allocation.plan import Nodes, Period, Plan, Pool, Stage
from allocation.times import DAY, day_begins
from benchmarks.synthetic import RESOURCE

TRACES = Path(__file__).parent / "traces"
PART = 20
PEOPLE_PER_NODE = 4
QUIETEST, BUSIEST, BUSIEST_HOUR = 217.0, 6184.0, 23
"""Clicks in the quietest and the busiest hour of the day (UTC), from the trace's notes."""

CLASSES = (
    Period(kind="class", first=date(2023, 1, 17), last=date(2023, 4, 28), name="instruction"),
    Period(kind="break", first=date(2023, 1, 1), last=date(2023, 1, 16), name="winter break"),
    Period(kind="break", first=date(2023, 2, 20), last=date(2023, 2, 20), name="holiday"),
    Period(kind="break", first=date(2023, 3, 25), last=date(2023, 4, 2), name="spring break, weekends"),
    Period(kind="break", first=date(2023, 4, 29), last=date(2023, 5, 31), name="reading and finals"),
)
"""The university's public academic calendar: days without instruction are a break."""


def plan(*, with_calendar: bool) -> Plan:
    """What the gateway's operator knew."""
    stage = Stage(
        since=day_begins(date(2023, 1, 1)),
        fixed=(Nodes(flavor="m3.quad", count=2),),
        pools={"low": Pool(flavor="m3.medium", min=1, max=40)},
    )
    return Plan(stages=(stage,), calendar=CLASSES if with_calendar else ())


def reported() -> Segment:
    """The ledger of that gateway: a row at each midnight, reported without delay."""
    with (TRACES / "berkeley-datahub-spring2023-daily-active-users.csv").open() as file:
        people = {date.fromisoformat(row["date"]): float(row["active_users"]) for row in csv.DictReader(file)}
    with (TRACES / "berkeley-datahub-spring2023-session-length.csv").open() as file:
        sessions = {float(row["length_hours_floor"]): float(row["sessions"]) for row in csv.DictReader(file)}
    # Lengths of 12 h and more are mixed up in the trace (see its notes); the shorter ones tell the mean.
    short = {hours + 0.5: count for hours, count in sessions.items() if hours < 12}
    mean_hours = sum(hours * count for hours, count in short.items()) / sum(short.values())
    hours_each = mean_hours * sum(sessions.values()) / sum(people.values())
    turn = 2 * np.pi * (np.arange(24) - BUSIEST_HOUR) / 24
    shape = QUIETEST + (BUSIEST - QUIETEST) * (1 + np.cos(turn)) / 2
    burn = []
    for count in people.values():
        at_once = count / PART * hours_each * shape / shape.sum()
        nodes = np.clip(np.ceil(at_once / PEOPLE_PER_NODE), 1, 40)
        burn.append(float((2 * 4 + 8 * nodes).sum()))
    start = day_begins(min(people))
    used = np.concatenate([[0.0], np.cumsum(burn)])
    return Segment(
        resource=RESOURCE,
        reason="first",
        starts_at=start,
        ends_at=start + len(burn) * DAY,
        allocated=float(used[-1]),
        times=np.asarray(start + np.arange(len(burn) + 1) * DAY, dtype=np.float64),
        used=used,
    )
