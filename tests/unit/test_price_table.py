"""What a preview says of a change of the pools, to the letter."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from allocation.change import Change, Side
from allocation.plan import Pool
from allocation.verdict import Verdict
from stacks.price_table import missing_words, refusal, table
from stacks.settings_budget import Budget

ENOUGH = Verdict(
    model="planned",
    level="within",
    su_delta=1884.4,
    su_delta_low=1493.2,
    su_delta_high=2275.4,
    runs_dry_at=None,
    burn_su_per_hour=22.0,
    break_even_su_per_hour=22.4,
    nodes={},
    sentence="Lasts to 2026-12-31 with 1,884 SU to spare (80 %: 1,493 to 2,275).",
    fallback=None,
)
SHORT = dataclasses.replace(
    ENOUGH,
    level="over",
    su_delta=-61509.0,
    su_delta_low=-68516.0,
    su_delta_high=-59755.0,
    runs_dry_at=datetime(2026, 10, 22, 5, tzinfo=UTC),
    burn_su_per_hour=36.36,
    sentence="Runs dry on 2026-10-22, 70 days early: 61,509 SU short (80 %: 59,755 to 68,516).",
)
LINE = dataclasses.replace(ENOUGH, model="linear", su_delta=2280.0)
BEFORE = Side(floor=20.0, ceiling=40.0, planned=ENOUGH, line=LINE)
AFTER = Side(floor=36.0, ceiling=120.0, planned=SHORT, line=LINE)
CHANGE = Change(before=BEFORE, after=AFTER, hours_left=4415.0, data_age_hours=12.4, fits={})

EXPECTED = """\
price of the node pools              before               after
floor, SU/h                            20.0                36.0
expected, SU/h                         22.0                36.4
ceiling, SU/h                          40.0               120.0
floor, SU to the end                 88,300             158,940
expected, SU to the end              97,130             160,529
ceiling, SU to the end              176,600             529,800
SU delta at the end                  +1,884             -61,509
  its 80 % interval        +1,493 to +2,275  -68,516 to -59,755
  by the month's line                +2,280              +2,280
runs dry                 not before the end          2026-10-22
Runs dry on 2026-10-22, 70 days early: 61,509 SU short (80 %: 59,755 to 68,516)."""


def test_the_table_has_before_and_after_and_ends_with_a_sentence() -> None:
    assert table(CHANGE) == EXPECTED


def test_a_new_gateway_has_no_before() -> None:
    lines = table(dataclasses.replace(CHANGE, before=None)).splitlines()
    assert lines[1].split() == ["floor,", "SU/h", "–", "36.0"]
    assert len({len(line) for line in lines[:-1]}) == 1


def test_without_figures_it_is_what_the_nodes_burn() -> None:
    bare = Side(floor=20.0, ceiling=40.0, planned=None, line=None)
    change = Change(before=bare, after=bare, hours_left=None, data_age_hours=None, fits={})
    assert table(change) == (
        "price of the node pools  before  after\n"
        "floor, SU/h                20.0   20.0\n"
        "ceiling, SU/h              40.0   40.0\n"
        "Without figures it is not known whether the allocation lasts."
    )


def test_a_refusal_says_why_what_would_fit_and_the_way_around() -> None:
    fits = {
        "low": Pool(flavor="m3.quad", min=1, max=11),
        "extra": Pool(flavor="m3.large", min=1, max=1),
    }
    assert refusal(dataclasses.replace(CHANGE, fits=fits)).splitlines() == [
        "The change is refused, as gateway:budget.policy is enforce. "
        "Runs dry on 2026-10-22, 70 days early: 61,509 SU short (80 %: 59,755 to 68,516).",
        "What would fit: low with min 1 and max 11 or extra with min 1 and max 1, all else as asked for.",
        "To go ahead all the same: pulumi config set --path gateway:budget.policy advise",
    ]


def test_a_refusal_of_what_can_never_fit_says_so() -> None:
    assert "No smaller growth would fit" in refusal(CHANGE)


@pytest.mark.parametrize(
    ("budget", "change", "words"),
    [
        (Budget(), CHANGE, "gateway:budget.ledger names no file"),
        (Budget(ledger="a.csv"), dataclasses.replace(CHANGE, data_age_hours=None), "has no figure yet"),
        (Budget(ledger="a.csv"), dataclasses.replace(CHANGE, hours_left=0.0), "is over"),
        (
            Budget(ledger="a.csv"),
            dataclasses.replace(CHANGE, data_age_hours=60.4),
            "the newest figure in a.csv is 60 h old (gateway:budget.stale_hours is 48)",
        ),
        (Budget(ledger="a.csv", stale_hours=72), dataclasses.replace(CHANGE, data_age_hours=60.4), None),
        (Budget(ledger="a.csv"), CHANGE, None),
    ],
)
def test_what_is_missing_is_named(budget: Budget, change: Change, words: str | None) -> None:
    said = missing_words(budget, change)
    assert said is None if words is None else said is not None and words in said
