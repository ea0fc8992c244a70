"""The ledger: what is read from files of all kinds."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation import ledger, times
from allocation.errors import AllocationError
from allocation.ledger import HEADER, Row
from tests.unit.allocation.ledgers import (
    BEGINS,
    CPU,
    END,
    GOOD,
    GPU,
    ROOT,
    START,
    any_rows,
    names,
    row,
    text,
    written,
)


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    rows = [row(1, 5), row(1, 2, resource=GPU), row(2, 7.25)]
    assert ledger.append(path, rows[:2]) == ledger.Appended(2, ())
    ledger.append(path, rows[2:])
    book = ledger.read(path)
    assert list(book.every_row()) == rows
    assert (book.rows, book.bad, list(book.segments)) == (3, (), [GPU, CPU])
    assert path.read_text().splitlines()[0] == HEADER


@given(st.lists(any_rows(), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_rows_are_read_as_they_were_appended(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "usage.csv")
        ledger.append(path, rows)
        book = ledger.read(path)
    assert list(book.every_row()) == rows
    assert not book.bad


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{HEADER}\r\n{GOOD}\r\n", id="line ends of Python's csv module"),
        pytest.param(f"{HEADER}\n{GOOD}", id="no last line end"),
        pytest.param(f"{GOOD}\n", id="no header"),
        pytest.param(f"{GOOD}\n\n{HEADER}\n \n", id="header late, blank lines"),
        pytest.param(f"{HEADER}\n{HEADER}\n{GOOD}\n", id="header twice"),
        pytest.param(f",{HEADER}\n0,{GOOD}\n", id="index column of pandas"),
        pytest.param(f"\ufeff{HEADER}\n{GOOD}\n", id="byte order mark"),
    ],
)
def test_old_files_are_read_as_they_are(tmp_path: Path, content: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(content.encode())
    book = ledger.read(path)
    assert list(book.every_row()) == [Row(1688300000.25, CPU, 10.5, 100000.0, START, END)]
    assert not book.bad
    assert path.read_bytes() == content.encode()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GOOD[:-1], "date"),
        (GOOD[:40], "fields"),
        (GOOD + ",1", "7 fields"),
        (GOOD.replace("10.5", "nan"), "service_units_used 'nan'"),
        (GOOD.replace("10.5", "1e300"), "service_units_used '1e300'"),
        (GOOD.replace("10.5", "-3"), "service_units_used '-3'"),
        (GOOD.replace("100000.0", "inf"), "service_units_allocated 'inf'"),
        (GOOD.replace("10.5", "ten"), "service_units_used 'ten'"),
        (GOOD.replace("10.5", ""), "service_units_used ''"),  # the original wrote null so
        (GOOD.replace("1688300000.25", "1688300000250"), "far future"),
        (GOOD.replace("1688300000.25", "32000000000"), "future by this machine's clock"),
        (GOOD.replace("1688300000.25", "2023-07-02"), "timestamp '2023-07-02'"),
        (GOOD.replace("2024-06-30", "2023-06-30"), "before start_date"),
        (GOOD.replace("2024-06-30", "20240630"), "'20240630' is not a date"),
        (GOOD.replace("2024-06-30", "2024-02-30"), "'2024-02-30' is not a date"),
        (GOOD.replace("2024-06-30", "9999-12-31"), "'9999-12-31' is not a date"),
        (GOOD.replace(CPU, ""), "resource ''"),
        (GOOD.replace(CPU, '"a"'), "resource"),
        ("\0" * 20, "fields"),
    ],
)
def test_a_bad_line_is_reported_with_its_place_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{line}\n{GOOD}\n")
    book = ledger.read(path)
    assert book.rows == 2
    ((number, shown, why),) = [dataclasses.astuple(bad) for bad in book.bad]
    assert (number, shown) == (3, line)
    assert reason in why


def test_bytes_that_are_no_text_are_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(
        f"{HEADER}\n{GOOD}\n".encode()
        + b"\xff\xfe,\n"
        + GOOD.replace("jet", "j\udc80").encode("utf-8", "surrogateescape")
    )
    book = ledger.read(path)
    assert [bad.number for bad in book.bad] == [3, 4]
    assert book.bad[0].text == "\\xff\\xfe,"


LINES = st.one_of(
    any_rows().map(lambda found: text([found], header=False).strip()),
    st.text(alphabet="0123456789.,-: abc\t\r\0é", max_size=60),
    st.sampled_from([HEADER, "", GOOD]),
    st.integers(0, len(GOOD)).map(lambda length: GOOD[:length]),
)


@given(st.lists(LINES, max_size=40))
@settings(deadline=None)
def test_every_line_is_good_or_bad_and_nothing_else(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "usage.csv")
        path.write_bytes("\n".join([HEADER, *lines, ""]).encode())
        book = ledger.read(path)
    filled = [line for line in lines if line.encode().strip() and line.rstrip("\r") != HEADER]
    assert book.rows + len(book.bad) == len(filled)
    assert sum(len(segment.times) for found in book.segments.values() for segment in found) <= book.rows


def test_one_bad_line_among_many_costs_only_itself(tmp_path: Path) -> None:
    rows = [row(number / 24, float(number)) for number in range(20_000)]
    lines = text(rows, header=False).splitlines()
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([HEADER, *lines[:9000], "bad", *lines[9000:]]) + "\n")
    book = ledger.read(path, now=row(900, 0).timestamp)
    assert list(book.every_row()) == rows
    assert [bad.number for bad in book.bad] == [9002]


def test_rows_of_a_clock_that_was_put_ahead_are_read_with_that_clock(tmp_path: Path) -> None:
    ahead = time.time() + 60 * times.DAY
    path = tmp_path / "usage.csv"
    found = Row(ahead, CPU, 1, 2, START, END)
    with pytest.raises(AllocationError, match="future"):
        ledger.append(path, [found])
    assert not path.exists()
    ledger.append(path, [found], now=ahead)
    assert len(ledger.read(path).bad) == 1
    assert list(ledger.read(path, now=ahead).every_row()) == [found]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("# my notes\nmilk\n", "is not a ledger"),
        ("a,b,c\n1,2,3\n", "is not a ledger"),
    ],
)
def test_what_is_no_ledger_is_refused_and_left_alone(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "notes"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AllocationError, match=message):
        ledger.read(path)
    if content is not None:
        with pytest.raises(AllocationError, match=message):
            ledger.append(path, [row(1, 1)])
        assert path.read_text() == content
    assert not ledger.side_file(path).exists()


def test_a_directory_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(AllocationError, match="cannot be read"):
        ledger.read(tmp_path)
    with pytest.raises(AllocationError, match="cannot be written"):
        ledger.append(tmp_path / "none" / "usage.csv", [row(1, 1)])


def test_reading_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(f"{HEADER}\n{GOOD}\nbad\n{GOOD[:20]}")
    before = (path.read_bytes(), path.stat().st_mtime_ns, names(tmp_path))
    ledger.read(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns, names(tmp_path)) == before


def test_an_empty_file_is_a_ledger_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.touch()
    book = ledger.read(path)
    assert (book.rows, dict(book.segments), book.bad) == (0, {}, ())
    ledger.append(path, [row(1, 1)])
    assert path.read_text().startswith(HEADER + "\n")


def test_a_hundred_thousand_rows_are_read_at_once(tmp_path: Path) -> None:
    path = written(tmp_path / "usage.csv", (row(number / 1000, float(number)) for number in range(100_000)))
    begun = time.process_time()
    book = ledger.read(path)
    assert time.process_time() - begun < 1.5  # 0.15 s on an idle machine
    assert book.rows == 100_000
    assert len(book.segments[CPU][0].times) == 100_000


def test_the_ledger_needs_no_pandas() -> None:
    code = "import sys, allocation.ledger, allocation.verdict; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_days_begin_and_end_in_utc(tmp_path: Path) -> None:
    (segment,) = ledger.read(written(tmp_path / "usage.csv", [row(1, 1)])).segments[CPU]
    assert segment.starts_at == BEGINS == times.day_begins(START)
    assert segment.ends_at == times.day_ends(END)
