"""What was wrong in the script that this replaces, usage_monitoring.py of the Unidata gateway, is right."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from allocation import accounting, history, keystone, ledger, plot, report, servers, tables, times
from allocation.forecast import MODELS, Forecast, Model, forecast
from allocation.ledger import Row
from allocation.plan import Plan
from allocation.verdict import STATUS, Verdict, as_json, verdict
from tests.unit.allocation.fake_cloud import FakeCloud
from tests.unit.allocation.ledgers import CPU, END, GRANTED, figures, row, text, written

RATES = {"m3.tiny": 1.0, "m3.medium": 8.0}

each_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "usage.csv"


def judged(path: Path, rows: Sequence[Row], model: Model) -> tuple[Forecast, Verdict]:
    """What a model makes of a ledger with those rows, at the time of the newest."""
    segments = ledger.read(written(path, rows)).segments[CPU]
    now = max(found.timestamp for found in rows)
    made = forecast(segments, now=now, plan=Plan(), model=model)
    for figures_of in (made.times, made.expected, made.low, made.high):
        assert np.isfinite(figures_of).all()
    return made, verdict(made, allocated=history.current(segments, now).allocated, rates=RATES)


def steady(first: int, last: int, su_per_hour: float) -> list[Row]:
    """Daily rows of a steady burn."""
    return [row(day, su_per_hour * 24 * day) for day in range(first, last)]


# The token


def test_old_defect_an_expired_token_was_never_refreshed(cloud: FakeCloud) -> None:
    """``token_expired()`` had no return, so that its answer was always no."""
    session, region = keystone.session("gateway")
    cloud.expires_at = "2020-01-01T00:00:00.000000Z"
    expired = keystone.token(session)
    cloud.expires_at = "2099-01-01T00:00:00.000000Z"
    assert accounting.fetch(session, region=region)
    assert expired not in cloud.shown


def test_old_defect_the_token_was_none_right_after_it_was_refreshed(cloud: FakeCloud) -> None:
    """``get_os_token`` returned the refreshed token only the next time."""
    session, region = keystone.session("gateway")
    cloud.refused.add(keystone.token(session))
    assert accounting.fetch(session, region=region)
    assert cloud.shown == cloud.issued[:2]
    assert keystone.renew(session) == cloud.issued[-1]


# Arithmetic that failed


@each_model
def test_old_defect_no_use_at_all_divided_by_zero(book: Path, model: Model) -> None:
    """r == 0 made ``remaining / r`` fail."""
    _, found = judged(book, [row(day, 500) for day in range(100, 160)], model)
    assert found.runs_dry_at is None
    assert found.level == "within"
    assert found.burn_su_per_hour == pytest.approx(0, abs=0.01)
    assert found.su_delta == pytest.approx(GRANTED - 500, abs=50)


@each_model
def test_old_defect_a_single_row_divided_zero_by_zero(book: Path, model: Model) -> None:
    made, found = judged(book, [row(100, 24_000)], model)
    assert made.fallback
    assert found.burn_su_per_hour >= 0
    assert as_json(found)["fallback"] == made.fallback


def test_old_defect_a_nearly_idle_allocation_ran_dry_after_the_end_of_time(book: Path) -> None:
    """A tiny r put the date beyond what a date can hold."""
    _, found = judged(book, [row(day, 500 + day * 1e-9) for day in range(100, 160)], "linear")
    assert found.runs_dry_at is None


# The row to compare with


@each_model
def test_old_defect_the_nearest_row_was_found_only_in_ascending_order(book: Path, model: Model) -> None:
    """The difference was kept with its sign, so that the first later row won for good."""
    rows = [row(day, 240 * day + (day % 7) * 31) for day in range(60, 200)]
    shuffled = [rows[place] for place in np.random.default_rng(4).permutation(len(rows))]
    ascending, _ = judged(book, rows, model)
    for order in (rows[::-1], shuffled):
        other, _ = judged(book, order, model)
        np.testing.assert_array_equal(other.expected, ascending.expected)
        np.testing.assert_array_equal(other.high, ascending.high)


def test_old_defect_the_nearest_row_may_be_on_either_side(book: Path) -> None:
    """Of rows 39 and 28 days before the last, the line of a month goes through the second, 11 SU/h below."""
    for days in ([0, 39, 50, 78], [78, 50, 39, 0]):
        used = {0: 0.0, 39: 100.0, 50: 1000.0, 78: 1000.0 + 28 * 24 * 11}
        _, found = judged(book, [row(day, used[day]) for day in days], "linear")
        assert found.burn_su_per_hour == pytest.approx(11)


def test_old_defect_the_row_before_the_last_was_skipped(book: Path) -> None:
    """``[:-2]`` left out two rows, where the last alone may not be compared with itself."""
    _, found = judged(book, [row(0, 0), row(30, 100), row(60, 100 + 720 * 10)], "linear")
    assert found.burn_su_per_hour == pytest.approx(10)


def test_old_defect_two_rows_are_enough_for_a_line(book: Path) -> None:
    _, found = judged(book, [row(30, 100), row(60, 100 + 720 * 10)], "linear")
    assert found.burn_su_per_hour == pytest.approx(10)


# Time


@pytest.fixture
def live_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets this process's time zone, until the test is over."""

    def live_in(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield live_in
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ["America/Denver", "Asia/Tokyo"])
def test_old_defect_the_local_time_zone_got_into_the_dates(
    book: Path, zone: str, live_in: Callable[[str], None]
) -> None:
    rows = steady(100, 160, 20)
    live_in("UTC")
    expected = [as_json(judged(book, rows, model)[1]) for model in MODELS]
    live_in(zone)
    assert time.localtime(0).tm_hour != 0
    assert [as_json(judged(book, rows, model)[1]) for model in MODELS] == expected
    (segment,) = ledger.read(book).segments[CPU]
    assert segment.ends_at == 1719792000  # 2024-07-01T00:00:00Z


@each_model
def test_old_defect_the_last_day_did_not_count(book: Path, model: Model) -> None:
    """``end_date`` was taken for its first moment, though the allocation may be used all that day."""
    made, found = judged(book, steady(300, 356, 10), model)
    assert made.times[-1] == times.day_ends(END)
    assert found.su_delta == pytest.approx(GRANTED - 366 * 240, abs=60)


# Renewals, supplements, resets


@each_model
def test_old_defect_a_renewal_made_the_rate_negative(book: Path, model: Model) -> None:
    renewed = functools.partial(row, start=date(2024, 7, 1), end=date(2025, 6, 30))
    rows = [*steady(300, 366, 10), *(renewed(366 + day, 240.0 * day) for day in range(1, 20))]
    _, found = judged(book, rows, model)
    assert found.burn_su_per_hour == pytest.approx(10, rel=0.1)
    assert found.su_delta == pytest.approx(GRANTED - 365 * 240, abs=0.05 * GRANTED)


@each_model
def test_old_defect_a_supplement_did_not_begin_a_segment(book: Path, model: Model) -> None:
    rows = [
        dataclasses.replace(found, allocated=2 * GRANTED) if number >= 30 else found
        for number, found in enumerate(steady(100, 160, 10))
    ]
    _, found = judged(book, rows, model)
    assert [segment.reason for segment in ledger.read(book).segments[CPU]] == ["first", "supplement"]
    assert found.burn_su_per_hour == pytest.approx(10, rel=0.02)
    assert found.su_delta == pytest.approx(2 * GRANTED - 366 * 240, abs=0.01 * GRANTED)


@each_model
def test_old_defect_a_reset_made_the_rate_negative(book: Path, model: Model) -> None:
    rows = [*steady(100, 160, 10), *(row(160 + day, 240.0 * day) for day in range(20))]
    _, found = judged(book, rows, model)
    assert [segment.reason for segment in ledger.read(book).segments[CPU]] == ["first", "reset"]
    assert found.burn_su_per_hour == pytest.approx(10, rel=0.1)


@each_model
def test_old_defect_a_refund_made_the_rate_negative(book: Path, model: Model) -> None:
    rows = [*steady(100, 130, 10), row(130, 20_000)]
    made, found = judged(book, rows, model)
    assert found.burn_su_per_hour >= 0
    assert (np.diff(made.expected) >= 0).all()


# What was told


def test_old_defect_the_ledger_could_not_be_dumped_as_json(book: Path) -> None:
    """``json.dumps`` was given a data frame."""
    rows = [row(1, 10), row(2, 20)]
    dumped = json.loads(ledger.export(ledger.read(written(book, rows)), "json"))
    assert [found["service_units_used"] for found in dumped] == [10, 20]


def test_old_defect_no_figure_of_use_was_written_as_nothing_and_read_as_not_a_number(book: Path) -> None:
    nothing = text([row(2, 0)], header=False).replace(",0.0,", ",,")
    book.write_text(text([row(1, 10)]) + nothing + text([row(3, 30)], header=False))
    found = ledger.read(book)
    assert figures(found.segments[CPU]) == [("first", [10, 30])]
    assert [bad.number for bad in found.bad] == [3]


def test_old_defect_nodes_are_counted_from_the_delta_not_from_the_break_even_rate(book: Path) -> None:
    """As the code did, and the paper does; the docstring said otherwise."""
    _, found = judged(book, steady(0, 184, 20), "linear")
    delta = found.break_even_su_per_hour - found.burn_su_per_hour
    assert delta < -8 < 0 < found.break_even_su_per_hour
    assert found.nodes["m3.medium"] == np.floor(delta / 8)


def test_old_defect_a_deficit_was_not_told_in_nodes_nor_to_cron(book: Path) -> None:
    _, found = judged(book, steady(0, 184, 20), "linear")
    assert found.nodes.keys() == RATES.keys()
    assert all(count < 0 for count in found.nodes.values())
    assert "m3.medium fewer" in found.sentence
    assert STATUS[found.level] == 4


def test_old_defect_the_plot_had_no_labels(book: Path, tmp_path: Path) -> None:
    rows = steady(100, 160, 20)
    made, found = judged(book, rows, "linear")
    picture = tmp_path / "usage.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):
        plot.plot(
            picture,
            segments=ledger.read(book).segments[CPU],
            curves=[plot.Curve("linear", made, plot.LOOKS["linear"])],
            reserve_su=0,
            title=found.sentence,
        )
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", picture.read_text())
    assert {"date (UTC)", "service units (SU) used", CPU, "linear"} <= set(texts)
    assert any(text.startswith(found.sentence[:10]) for text in texts)


@pytest.mark.parametrize(("reported", "ratio"), [(8 + 8 + 2, 1.0), (2 * (8 + 8 + 2), 2.0)])
def test_old_defect_nothing_linked_the_rate_to_the_instances(
    book: Path, reported: float, ratio: float
) -> None:
    """The servers' own burn is computed and laid beside the figures; a stopped server counts, too."""
    flavors = [("m3.medium", "ACTIVE"), ("m3.medium", "ACTIVE"), ("m3.quad", "SHUTOFF")]
    listed = [
        {"id": name, "name": name, "status": state, "flavor": {"original_name": name, "vcpus": 8}}
        for name, state in flavors
    ]
    burn = servers.burn(listed, own_rates={})
    samples = [
        sample
        for hour in range(100 * 24, 159 * 24)
        for sample in burn.samples([CPU], now=row(hour / 24, 0).timestamp)
    ]
    written(book, steady(100, 160, reported))
    made = report.report(ledger.read(book), plan=Plan(), now=row(159, 0).timestamp, samples=samples)
    assert made.agreement is not None
    assert made.agreement.ratio == pytest.approx(ratio, rel=0.01)
    assert made.agreement.sentence in "\n".join(tables.notes(made))
