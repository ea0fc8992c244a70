"""The report: which resource, what is known at which time, and how it is told."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from allocation import ledger, report, tables, times
from allocation.errors import AllocationError
from allocation.forecast import MODELS
from allocation.ledger import Row
from allocation.plan import Plan, Pool, Stage
from allocation.report import Report
from tests.unit.allocation.made_up import CPU, END, NOW, START, write_ledger

GPU = "jetstream2-gpu.indiana.xsede.org"
OTHER = "other.example.org"


def of(path: Path, *, plan: Plan | None = None, now: float = NOW, resource: str | None = None) -> Report:
    return report.report(ledger.read(path), plan=plan or Plan(), now=now, resource=resource)


def printed(made: Report) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=10_000)
    tables.show_report(console, made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_ledger(tmp_path / "usage.csv", burn=10)


def test_each_model_gives_what_an_even_burn_means(path: Path) -> None:
    # 10 SU/h over all of 2026: 87,600 of 100,000 SU.
    made = of(path)
    assert list(made.verdicts) == list(MODELS)
    for verdict in made.verdicts.values():
        assert verdict.su_delta == pytest.approx(100_000 - 10 * 365 * 24, rel=0.01)
        assert verdict.burn_su_per_hour == pytest.approx(10, rel=0.01)
    assert made.status == 0


def test_a_rerun_says_what_was_said_then(tmp_path: Path) -> None:
    """A refund of the day after was not known."""
    path = tmp_path / "usage.csv"
    refunded = [(NOW - times.DAY, 100), (NOW, 200), (NOW + times.DAY, 150)]
    for moment, used in refunded:
        ledger.append(path, [Row(moment, CPU, used, 100_000, START, END)], now=moment)
    assert of(path).used == 200
    assert of(path, now=NOW + times.DAY).used == 150


def test_figures_that_fell_are_told(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "usage.csv", burn=10)
    assert "Figures that fell" not in printed(of(path))
    # 87,600 SU a year: half a year's 43,440 and a day's, less a refund of two days and a half.
    ledger.append(path, [Row(NOW + times.DAY, CPU, 43_680 - 600, 100_000, START, END)], now=NOW + times.DAY)
    assert "Figures that fell, so that others before or after belie them: 2," in printed(
        of(path, now=NOW + times.DAY)
    )


def test_the_planned_models_verdict_decides(path: Path) -> None:
    made = of(path)
    over = dataclasses.replace(made.verdicts["planned"], level="over")
    assert made.deciding == "planned"
    assert dataclasses.replace(made, verdicts={**made.verdicts, "planned": over}).status == 4


def test_the_only_model_asked_decides(path: Path) -> None:
    made = report.report(ledger.read(path), plan=Plan(), now=NOW, models=["linear"])
    assert (list(made.verdicts), made.deciding) == (["linear"], "linear")


def test_rows_after_now_are_not_looked_at(path: Path) -> None:
    early = NOW - 30 * times.DAY
    rerun = of(path, now=early + 1)
    assert rerun.data_until == early
    assert rerun.used == pytest.approx(10 * (early - times.parse_time("2026-01-01")) / times.HOUR)


def test_a_time_before_the_first_row_is_told(path: Path) -> None:
    with pytest.raises(AllocationError, match="no figure from before 2020-01-01"):
        of(path, now=times.parse_time("2020-01-01"))


def test_the_only_resource_is_taken(tmp_path: Path) -> None:
    made = of(write_ledger(tmp_path / "usage.csv", burn=1, resource=OTHER))
    assert (made.resource, made.others) == (OTHER, ())


def test_among_several_the_cpu_resource_is_taken_and_the_others_are_named(path: Path) -> None:
    write_ledger(path, burn=1, resource=GPU)
    made = of(path)
    assert (made.resource, made.others) == (CPU, (GPU,))
    assert f"The ledger also has {GPU}: see them by --resource" in tables.notes(made)


def test_the_plans_resource_comes_before_and_the_one_asked_for_first(path: Path) -> None:
    write_ledger(path, burn=1, resource=GPU)
    write_ledger(path, burn=1, resource=OTHER)
    plan = Plan(resource=GPU)
    assert of(path, plan=plan).resource == GPU
    assert of(path, plan=plan, resource=OTHER).resource == OTHER


def test_what_a_plan_says_of_one_resource_is_not_said_of_another(path: Path) -> None:
    write_ledger(path, burn=1, resource=GPU)
    stage = Stage(since=times.day_begins(START), pools={"low": Pool(flavor="m3.medium", min=5, max=9)})
    plan = Plan(resource=CPU, reserve_su=50_000, stages=(stage,))
    with_plan, without = (of(path, plan=known, resource=GPU) for known in (plan, Plan()))
    assert with_plan.verdict == without.verdict
    assert of(path, plan=plan).plan == plan


def test_several_unknown_resources_must_be_chosen_from(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "usage.csv", burn=1, resource=OTHER)
    write_ledger(path, burn=1, resource=GPU)
    with pytest.raises(AllocationError, match=rf"{GPU}, {OTHER}; say which by --resource"):
        of(path)


def test_a_resource_that_is_not_there_is_told_with_those_that_are(path: Path) -> None:
    with pytest.raises(AllocationError, match=rf"no figures of 'cpu'; it has those of {CPU}"):
        of(path, resource="cpu")


def test_an_empty_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text(ledger.HEADER + "\n")
    with pytest.raises(AllocationError, match="no figures yet; `record` fetches them"):
        of(tmp_path / "usage.csv")


def test_a_ledger_of_nothing_but_bad_lines_is_told_with_the_first(tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text(f"{ledger.HEADER}\nbad\n")
    with pytest.raises(AllocationError, match=r"no figures; its line 2 has 1 fields"):
        of(tmp_path / "usage.csv")


def test_the_json_has_times_in_utc_and_numbers_as_numbers(path: Path) -> None:
    with path.open("a") as file:
        file.write("rubbish\n")
    found = json.loads(json.dumps(report.as_json(of(path, now=NOW + 6 * times.HOUR)), allow_nan=False))
    models = found.pop("models")
    segments = found.pop("segments")
    assert found == {
        "resource": CPU,
        "now": "2026-07-01T06:00:00Z",
        "data_until": "2026-07-01T00:00:00Z",
        "data_age_hours": 6.0,
        "allocated": 100_000.0,
        "used": pytest.approx(10 * 181 * 24),
        "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2027-01-01T00:00:00Z",
        "bad_lines": [{"number": 92, "text": "rubbish", "reason": "has 1 fields, not 6"}],
    }
    assert [(segment["reason"], segment["rows"]) for segment in segments] == [("first", 90)]
    assert set(models) == set(MODELS)
    assert set(models["planned"]) == {
        "su_delta",
        "su_delta_low",
        "su_delta_high",
        "runs_dry_at",
        "burn_su_per_hour",
        "break_even_su_per_hour",
        "nodes",
        "level",
        "sentence",
        "fallback",
    }


def test_nodes_are_of_the_resources_flavors_and_the_plans_own() -> None:
    plan = Plan(
        rates={"own.flavor": 3, "g3.small": 9},
        stages=(
            Stage(since=times.day_begins(START), pools={"low": Pool(flavor="own.flavor", min=0, max=1)}),
        ),
    )
    assert report.rates_of(GPU, plan) == {
        "own.flavor": 3,
        "g3.small": 9,
        "g3.medium": 16,
        "g3.large": 32,
        "g3.xl": 64,
    }
    assert list(report.rates_of("jetstream2-storage.indiana.xsede.org", Plan())) == []


def test_what_is_printed_has_the_verdict_first_and_a_row_per_model(path: Path) -> None:
    made = of(path)
    lines = printed(made).splitlines()
    assert lines[0] == made.verdict.sentence
    assert lines[1] == (
        f"{CPU}: 43,440 of 100,000 SU used (43.4%), 2026-01-01 to 2026-12-31; "
        "newest figure 2026-07-01 00:00 UTC, 0 h old"
    )
    assert [line.split()[0] for line in lines if line.startswith(MODELS)] == list(MODELS)


def test_the_printed_nodes_are_those_of_the_plans_pools(path: Path) -> None:
    plan = Plan(
        stages=(Stage(since=times.day_begins(START), pools={"high": Pool(flavor="m3.large", min=0, max=9)}),)
    )
    assert tables.shown_flavors(of(path, plan=plan)) == ["m3.large"]
    assert tables.shown_flavors(of(path)) == ["m3.quad", "m3.medium"]


def test_segments_a_reserve_and_fallbacks_are_told(path: Path, tmp_path: Path) -> None:
    write_ledger(path, burn=10, days=3, allocated=200_000, until=NOW + 5 * times.DAY)
    made = of(path, plan=Plan(reserve_su=500), now=NOW + 5 * times.DAY)
    notes = tables.notes(made)
    assert "Segments in the ledger: first 2026-04-03, supplement 2026-07-04" in notes
    assert "The SU delta is what is left beyond the reserve of 500 SU" in notes

    alone = of(write_ledger(tmp_path / "one.csv", burn=10, days=1))
    told = [model for model, made in alone.forecasts.items() if made.fallback is not None]
    assert told
    assert {note.partition(":")[0] for note in tables.notes(alone)} == set(told)


def test_old_figures_and_bad_lines_are_problems(path: Path) -> None:
    assert tables.problems(of(path)) == []
    with path.open("a") as file:
        file.write("rubbish\nmore\n")
    old, bad = tables.problems(of(path, now=NOW + 50 * times.HOUR))
    assert old.startswith("The newest figure is 2 days old: does cron still run")
    assert bad == f"{path}: bad lines, left out: 2; the first: line 92 has 1 fields, not 6"


def test_an_allocation_that_has_ended_is_told_as_such(tmp_path: Path) -> None:
    made = of(write_ledger(tmp_path / "usage.csv", burn=1), now=times.parse_time("2027-02-01"))
    assert "Has ended" in made.verdict.sentence
    # SU are left, and yet cron is to alert: Jetstream2 closes what has expired.
    assert made.verdict.su_delta > 0
    assert made.status == 3
    assert "runs dry" in printed(made)


def test_the_rates_source_names_documents_and_dates() -> None:
    source = tables.rates_source()
    assert source.startswith("Sources: ")
    assert "vmsizes.md" in source
    assert "2024-07-02" in source
