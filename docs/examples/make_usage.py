"""Makes ``usage.csv``, the made-up ledger of docs/allocation.md: ``python docs/examples/make_usage.py``.

The nodes are those of ``plan.yaml``. Those that always run burn 28 SU/h. Users add to it, on the days of the
calendar's kinds, half as much at weekends, and differently each day. Figures trail 18 hours behind the use,
as Jetstream2's do, and 200,000 SU more are granted on 2026-10-01.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

START, LAST = date(2026, 7, 1), date(2026, 11, 22)
END = date(2027, 6, 30)
CLASSES = (date(2026, 8, 24), date(2026, 12, 11))
FLOOR = 28.0  # SU/h
USERS = {"class": 32.0, "ordinary": 10.0}  # SU/h above the floor on a weekday
RECORDED_AT = timedelta(hours=6)
LAG_DAYS = 18 / 24


def main() -> None:
    """Writes the ledger beside this file."""
    chance = random.Random(20260701)  # noqa: S311  # not a secret
    used = [0.0]
    for day in range((LAST - START).days + 1):
        today = START + timedelta(days=day)
        kind = "class" if CLASSES[0] <= today <= CLASSES[1] else "ordinary"
        weekend = 0.5 if today.weekday() >= 5 else 1.0
        used.append(used[-1] + 24 * (FLOOR + USERS[kind] * weekend * chance.uniform(0.7, 1.3)))
    lines = ["timestamp,resource,service_units_used,service_units_allocated,start_date,end_date"]
    for day in range(1, (LAST - START).days + 1):
        fetched = datetime.combine(START + timedelta(days=day), datetime.min.time(), UTC) + RECORDED_AT
        true_at = day + RECORDED_AT / timedelta(days=1) - LAG_DAYS
        known = used[int(true_at)] + (true_at % 1) * (used[int(true_at) + 1] - used[int(true_at)])
        granted = 250_000 if fetched.date() < date(2026, 10, 1) else 450_000
        resource = "jetstream2.indiana.xsede.org"
        lines.append(f"{fetched.timestamp()},{resource},{known:.1f},{granted}.0,{START},{END}")
    (Path(__file__).parent / "usage.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
