"""How the ledger's rows fall into segments."""

from __future__ import annotations

import functools
import random
import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation import history, ledger, times
from allocation.ledger import Row
from tests.unit.allocation import histories
from tests.unit.allocation.ledgers import (
    CPU,
    GRANTED,
    any_rows,
    figures,
    plain,
    row,
    written,
)


def test_a_renewal_begins_a_segment(tmp_path: Path) -> None:
    new = functools.partial(row, start=date(2024, 7, 1), end=date(2025, 6, 30))
    rows = [row(1, 10), row(300, 900), new(366, 3), new(370, 8)]
    first, second = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures([first, second]) == [("first", [10, 900]), ("renewal", [3, 8])]
    assert second.starts_at == times.parse_time("2024-07-01")
    assert second.ends_at == times.parse_time("2025-07-01")


def test_an_extension_is_a_renewal_in_which_usage_is_what_was_reported(tmp_path: Path) -> None:
    rows = [row(1, 10), row(2, 20), row(3, 30, end=date(2024, 12, 31))]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", [10, 20]), ("renewal", [30])]


def test_a_supplement_begins_a_segment_in_which_usage_counts_on(tmp_path: Path) -> None:
    rows = [row(1, 10), row(2, 20), row(3, 30, allocated=2 * GRANTED), row(4, 41, allocated=2 * GRANTED)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", [10, 20]), ("supplement", [30, 41])]
    assert [segment.allocated for segment in found] == [GRANTED, 2 * GRANTED]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param([10, 900, 0, 5], [("first", [10, 900]), ("reset", [0, 5])], id="to zero"),
        pytest.param([500, 900, 449, 460], [("first", [500, 900]), ("reset", [449, 460])], id="below half"),
        pytest.param([10, 900, 450, 460], [("first", [10, 450, 450, 460])], id="to half: a correction"),
        pytest.param([10, 900, 0], [("first", [10, 900]), ("reset", [0])], id="in the last row"),
        pytest.param([900, 0], [("first", [900]), ("reset", [0])], id="two rows"),
        pytest.param(
            [10, 900, 5, 800, 4, 6],
            [("first", [10, 900]), ("reset", [5, 800]), ("reset", [4, 6])],
            id="twice",
        ),
    ],
)
def test_a_fall_below_half_is_a_reset(
    tmp_path: Path, reported: list[float], expected: list[tuple[str, list[float]]]
) -> None:
    rows = [row(number, used) for number, used in enumerate(reported)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param([100, 200, 199, 199.5, 210], [100, 199, 199, 199.5, 210], id="refund"),
        pytest.param([100, 200, 200 - 3e-14, 200], [100, 200, 200, 200], id="float noise"),
        pytest.param([100, 200, 150, 160], [100, 150, 150, 160], id="large refund"),
        pytest.param([100, 150, 200, 120, 130], [100, 120, 120, 120, 130], id="refund of two days"),
    ],
)
def test_a_smaller_fall_is_a_correction(tmp_path: Path, reported: list[float], expected: list[float]) -> None:
    rows = [row(number, used) for number, used in enumerate(reported)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", expected)]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param([100, 200, 0, 210], [100, 200, 200, 210], id="zero for a day"),
        pytest.param([100, 200, 0, 0, 0, 210], [100, 200, 200, 200, 200, 210], id="zero for three days"),
        pytest.param([100, 200, 110, 210], [100, 200, 200, 210], id="low for a day"),
        pytest.param([100, 200, 90_000, 90_000, 210], [100, 200, 210, 210, 210], id="high for two days"),
        pytest.param([100, 200, 90_000, 210], [100, 200, 210, 210], id="high for a day"),
    ],
)
def test_a_figure_that_the_next_one_belies_is_a_misreading(
    tmp_path: Path, reported: list[float], expected: list[float]
) -> None:
    rows = [row(number, used) for number, used in enumerate(reported)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", expected)]


@pytest.mark.parametrize(
    ("reported", "known", "expected"),
    [
        pytest.param([100, 200, 150], 2, [("first", [100, 200])], id="a refund that was to come"),
        pytest.param([100, 200, 150, 160], 3, [("first", [100, 150, 150])], id="a refund"),
        pytest.param(
            [100, 200, 0, 210], 3, [("first", [100, 200]), ("reset", [0])], id="a fall, not made good"
        ),
        pytest.param(
            [100, 200, 0, 0, 210], 4, [("first", [100, 200]), ("reset", [0, 0])], id="nor the next day"
        ),
        pytest.param([100, 900, 0, 5], 2, [("first", [100, 900])], id="a reset that was to come"),
        pytest.param([100, 900, 0, 5, 9], 4, [("first", [100, 900]), ("reset", [0, 5])], id="a reset"),
        pytest.param([100, 200, 9000, 210], 3, [("first", [100, 200, 9000])], id="high, and not known to be"),
    ],
)
def test_what_was_known_at_a_time_is_what_the_rows_until_then_say(
    tmp_path: Path, reported: list[float], known: int, expected: list[tuple[str, list[float]]]
) -> None:
    rows = [row(number, used) for number, used in enumerate(reported)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(history.until(found, rows[known - 1].timestamp)) == expected


def test_the_past_may_begin_with_a_renewal() -> None:
    (known,) = history.adding_up([histories.segment([900.0, 5.0, 6.0, 2.0], reason="renewal")])[:1]
    assert figures(history.adding_up([known])) == [("renewal", [900.0])]
    assert figures(history.adding_up([histories.segment([9.0, 900.0, 1.0], reason="renewal")])) == [
        ("renewal", [9.0, 900.0]),
        ("reset", [1.0]),
    ]


@given(
    st.lists(any_rows(), min_size=1, max_size=25, unique_by=lambda found: (found.timestamp, found.resource)),
    st.floats(0, 1.7e9),
)
def test_later_rows_change_nothing_of_what_was_known(rows: list[Row], now: float) -> None:
    until = [found for found in rows if found.timestamp <= now]
    with tempfile.TemporaryDirectory() as directory:
        whole, cut = (
            ledger.read(written(Path(directory, name), found)).segments
            for name, found in (("whole", rows), ("cut", until))
        )
    known = {name: plain(history.until(found, now)) for name, found in whole.items()}
    assert {name: found for name, found in known.items() if found} == {
        name: plain(found) for name, found in cut.items()
    }


def test_a_correction_reaches_back_over_a_supplement_but_not_over_a_renewal(tmp_path: Path) -> None:
    rows = [
        row(1, 5, start=date(2023, 6, 1)),
        row(2, 100),
        row(3, 99, allocated=2 * GRANTED),
        row(4, 98, allocated=2 * GRANTED),
    ]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", [5]), ("renewal", [98]), ("supplement", [98, 98])]


def test_the_last_of_rows_with_one_timestamp_counts(tmp_path: Path) -> None:
    rows = [row(1, 5), row(2, 8), row(2, 7), row(3, 9)]
    book = ledger.read(written(tmp_path / "usage.csv", rows))
    assert figures(book.segments[CPU]) == [("first", [5, 7, 9])]
    assert book.rows == 4


def test_of_two_allocations_recorded_at_once_that_which_lasts_longer_counts(tmp_path: Path) -> None:
    """The original wrote a row for each that was running, so that about a renewal there were two a day."""
    new = functools.partial(row, start=date(2024, 6, 1), end=date(2025, 5, 31))
    rows = [row(330, 900), new(336, 1), row(336, 950), row(337, 960), new(337, 2)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", [900]), ("renewal", [1, 2])]


@given(
    st.lists(any_rows(), max_size=25, unique_by=lambda found: (found.timestamp, found.resource)), st.randoms()
)
@settings(deadline=None)
def test_no_order_of_rows_changes_the_segments(rows: list[Row], chance: random.Random) -> None:
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as directory:
        one, other = (
            ledger.read(written(Path(directory, name), found))
            for name, found in (("one", rows), ("other", shuffled))
        )
    assert {name: plain(found) for name, found in one.segments.items()} == {
        name: plain(found) for name, found in other.segments.items()
    }


@given(st.lists(any_rows(), max_size=25))
@settings(deadline=None)
def test_usage_never_falls_in_a_segment_and_the_newest_figure_stands(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        book = ledger.read(written(Path(directory, "usage.csv"), rows))
    for name, found in book.segments.items():
        mine = [r for r in rows if r.resource == name]
        for segment in found:
            moments, used = segment.times.tolist(), segment.used.tolist()
            assert moments == sorted(set(moments))
            assert used == sorted(used)
            assert len(moments) == len(used) >= 1
        assert sum(len(segment.times) for segment in found) == len({r.timestamp for r in mine})
        newest = max(mine, key=lambda r: (r.timestamp, r.end))
        last = [r.used for r in mine if (r.timestamp, r.end) == (newest.timestamp, newest.end)][-1]
        assert found[-1].used[-1] == last
