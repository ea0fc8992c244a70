"""The plan file: read, priced, and refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocation.errors import AllocationError
from allocation.plan import Plan, parse_plan, read_plan
from allocation.rates import UnknownFlavor
from allocation.times import parse_time

TEXT = """
resource: jetstream2.indiana.xsede.org
reporting_lag_hours: 18
reserve_su: 1000
stages:
  - since: 2026-08-01
    fixed: [{flavor: m3.quad, count: 2}]
    pools:
      low: {flavor: m3.quad, min: 1, max: 6}
      high: {flavor: m3.medium, min: 1, max: 4}
  - since: 2026-10-01T12:00
    pools:
      low: {flavor: m3.quad, min: 2, max: 6}
calendar:
  - {kind: class, first: 2026-08-24, last: 2026-12-11, name: fall term}
  - {kind: break, first: 2026-11-23, last: 2026-11-27, level: 0.1}
"""


def plan_of(tmp_path: Path, text: str) -> Plan:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    return read_plan(file)


def test_a_plan_is_read_and_priced(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TEXT)
    first = plan.stage_at(parse_time("2026-09-01"))
    assert first is not None
    assert (plan.fixed(first), plan.floor(first), plan.ceiling(first)) == (8, 8 + 4 + 8, 8 + 24 + 32)
    second = plan.stage_at(parse_time("2026-10-01T12:00"))
    assert second is not None
    assert second.since == parse_time("2026-10-01T12:00Z")
    assert plan.floor(second) == 8
    assert plan.stage_at(parse_time("2026-07-31T23:59")) is None


def test_the_past_knows_nothing_of_later_stages(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TEXT)
    assert len(plan.known_at(parse_time("2026-09-01")).stages) == 1
    assert plan.known_at(parse_time("2027-01-01")) == plan


def test_an_empty_plan_says_nothing(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "") == Plan()


def test_own_rates_price_what_is_unknown(tmp_path: Path) -> None:
    text = "rates: {own.big: 12}\nstages: [{since: 2026-01-01, fixed: [{flavor: own.big, count: 2}]}]"
    plan = plan_of(tmp_path, text)
    assert plan.floor(plan.stages[0]) == 24


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reserve: 5", "reserve"),
        ("reserve_su: -5", "reserve_su"),
        ("[]", "not a list of keys"),
        ("stages: {", "not YAML"),
        ("stages: [{since: yesterday}]", "'yesterday' is not a time"),
        ("stages: [{since: 2026-01-02}, {since: 2026-01-01}]", "not in order"),
        (
            "stages: [{since: 2026-01-01, pools: {low: {flavor: m3.quad, min: 3, max: 2}}}]",
            "stages.0.pools.low.max: is 2, below min, which is 3",
        ),
        ("stages: [{since: 2026-01-01, fixed: [{flavor: m9.huge, count: 1}]}]", "m9.huge"),
        ("calendar: [{kind: party, first: 2026-01-01, last: 2026-01-02}]", "calendar.0.kind"),
        ("calendar: [{kind: class, first: 2026-01-03, last: 2026-01-02}]", "before first"),
        ("reporting_lag_hours: 1000", "reporting_lag_hours"),
        ("stages: [{since: 2026-02-30}]", "day is out of range for month"),
        ("calendar: [{kind: class, first: 2026-13-01, last: 2027-01-01}]", "month must be in 1..12"),
        ("stages: [{since: 20260801}]", "stages.0.since: is not in the years 2000 to 2199"),
        ("stages: [{since: .inf}]", "stages.0.since"),
        (f"stages: [{{since: 2026-01-01, fixed: [{{flavor: m3.quad, count: {10**400}}}]}}]", "count"),
        (
            f"stages: [{{since: 2026-01-01, pools: {{a: {{flavor: m3.quad, min: 0, max: {10**400}}}}}}}]",
            "stages.0.pools.a.max",
        ),
        ("rates: {m3.quad: 1.0e+300}", "rates.m3.quad"),
        ("reserve_su: 1.0e+300", "reserve_su"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_and_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AllocationError) as refusal:
        plan_of(tmp_path, text)
    assert said in str(refusal.value)
    assert "plan.yaml" in str(refusal.value)


def test_the_plan_of_one_resource_has_what_burns_it(tmp_path: Path) -> None:
    text = """
    resource: jetstream2.indiana.xsede.org
    reserve_su: 1000
    rates: {own.big: 12}
    stages:
      - since: 2026-08-01
        fixed: [{flavor: m3.quad, count: 2}, {flavor: own.big, count: 1}]
        pools: {gpu: {flavor: g3.large, min: 1, max: 2}}
      - since: 2026-10-01
        fixed: [{flavor: m3.quad, count: 1}]
    """
    plan = plan_of(tmp_path, text)
    cpu, gpu, large, own = (
        plan.of(name)
        for name in (
            "jetstream2.indiana.xsede.org",
            "jetstream2-gpu.indiana.xsede.org",
            "jetstream2-lm.indiana.xsede.org",
            "own.example.org",
        )
    )
    assert ([cpu.ceiling(stage) for stage in cpu.stages], cpu.reserve_su) == ([2 * 4 + 12, 4], 1000)
    assert ([gpu.ceiling(stage) for stage in gpu.stages], gpu.reserve_su) == ([2 * 32, 0], 0)
    assert (large.stages, own.stages) == ((), ())
    # On a cloud whose resources are others, all flavors burn the one that the plan is about.
    there = plan.model_copy(update={"resource": "own.example.org"})
    assert there.of("own.example.org") == there


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(AllocationError, match=r"nowhere\.yaml"):
        read_plan(tmp_path / "nowhere.yaml")


def test_a_plan_from_elsewhere_than_a_file_is_checked_too() -> None:
    with pytest.raises(AllocationError, match="the settings"):
        parse_plan({"x": 1}, name="the settings")


def test_the_price_of_an_unknown_flavor_is_no_guess() -> None:
    with pytest.raises(UnknownFlavor):
        Plan().rate("m9.huge")
