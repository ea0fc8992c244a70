"""The ledger: what is read from files of all kinds, and what is left of them after crashes and races."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation import ledger, ledger_file, times
from allocation.errors import AllocationError
from allocation.ledger import HEADER, Row
from tests.unit.allocation.ledgers import (
    BEGINS,
    CPU,
    END,
    GPU,
    GRANTED,
    START,
    any_rows,
    figures,
    plain,
    row,
    text,
    written,
)

ROOT = Path(__file__).resolve().parents[3]
GOOD = f"1688300000.25,{CPU},10.5,100000.0,2023-07-01,2024-06-30"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# Reading


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
        (GOOD.replace("1688300000.25", "1688300000250"), "future"),
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


# Appending


def test_a_crash_at_any_byte_costs_at_most_the_row_being_written(tmp_path: Path) -> None:
    """The file may end anywhere in the last append; what came before stays, and so does the rest, aside."""
    path = tmp_path / "usage.csv"
    first, last, later = row(1, 5), row(2, 6), row(3, 7)
    ledger.append(path, [first])
    whole = len(path.read_bytes())
    ledger.append(path, [last])
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        side = ledger.side_file(path)
        side.unlink(missing_ok=True)
        done = ledger.append(path, [later])
        rows = list(ledger.read(path).every_row())
        assert rows[-1] == later
        torn = content[:size].split(b"\n")[-1]
        if size >= len(content) - 1:  # only the line end is missing
            assert (rows, done.bad) == ([first, last, later], ())
        elif size >= whole:
            assert rows == [first, later]
        if torn and size != whole - 1 and size < len(content) - 1 and torn != HEADER.encode():
            assert side.read_bytes() == torn + b"\n"
            assert [bad.text for bad in done.bad] == [torn.decode()]
        else:
            assert not side.exists()
        assert not ledger.read(path).bad
        assert path.read_text().count(HEADER) == 1


def test_bad_lines_are_moved_to_the_side_file_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(f"{HEADER}\r\n{GOOD}\r\n".encode() + b"\xff\r\n" + f"{GOOD}\r\nbad\r\n".encode())
    ledger.side_file(path).write_bytes(b"earlier, torn")
    done = ledger.append(path, [row(1, 1)])
    assert [(bad.number, bad.text) for bad in done.bad] == [(3, "\\xff"), (5, "bad")]
    assert ledger.side_file(path).read_bytes() == b"earlier, torn\n\xff\r\nbad\r\n"
    assert path.read_bytes() == (
        f"{HEADER}\r\n{GOOD}\r\n{GOOD}\r\n".encode() + text([row(1, 1)], header=False).encode()
    )
    assert names(tmp_path) == ["usage.csv", "usage.csv.bad"]


def test_what_a_crash_left_of_a_replacement_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(f"{HEADER}\nbad\n")
    (tmp_path / ".usage.csv.new").write_text("half")
    ledger.append(path, [row(1, 1)])
    assert list(ledger.read(path).every_row()) == [row(1, 1)]
    assert names(tmp_path) == ["usage.csv", "usage.csv.bad"]


def test_a_replaced_ledger_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, path = tmp_path / "real.csv", tmp_path / "usage.csv"
    real.write_text(f"{HEADER}\nbad\n")
    real.chmod(0o640)
    path.symlink_to(real)
    ledger.append(path, [row(1, 1)])
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert ledger.read(real).rows == 1


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "usage.csv"
    ledger.append(path, [row(1, 1)])
    before = path.read_bytes()
    real = os.write

    def full(file: int, data: bytes) -> int:
        real(file, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AllocationError, match="No space left on device"):
        ledger.append(path, [row(2, 2)])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"used": math.nan}, "service_units_used"),
        ({"allocated": -1.0}, "service_units_allocated"),
        ({"resource": "a,b"}, "fields"),
        ({"resource": "a\nb"}, "resource"),
        ({"end": date(2022, 1, 1)}, "before start_date"),
        ({"timestamp": 1688300000250.0}, "future"),
    ],
)
def test_a_row_that_is_not_valid_is_refused_and_nothing_is_appended(
    tmp_path: Path, change: dict[str, float | str | date], reason: str
) -> None:
    path = tmp_path / "usage.csv"
    with pytest.raises(AllocationError, match=reason):
        ledger.append(path, [row(1, 1), dataclasses.replace(row(2, 2), **change)])  # type: ignore[arg-type]
    assert not path.exists()


WRITER = """
import sys
from datetime import date
from pathlib import Path
from allocation.ledger import Row, append
path, writer, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(rows):
    append(path, [Row(1.69e9 + number, f"writer{writer}", number, 1000, date(2023, 7, 1), date(2024, 6, 30))])
    if number % 10 == writer:
        with path.open("ab", buffering=0) as file:
            file.write(b"from a program that knows no lock\\n")
"""


def test_many_processes_append_at_once_and_no_row_is_lost_or_torn(tmp_path: Path) -> None:
    """Each also leaves bad lines, so that the file is replaced under the others again and again."""
    path = tmp_path / "usage.csv"
    writers, rows = 6, 30
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(writer), str(rows)], cwd=ROOT)
        for writer in range(writers)
    ]
    assert [process.wait(timeout=300) for process in running] == [0] * writers
    book = ledger.read(path)
    assert len(ledger.side_file(path).read_text().splitlines()) > 1
    for writer in range(writers):
        (segment,) = book.segments[f"writer{writer}"]
        assert segment.used.tolist() == list(range(rows))
    assert book.rows == writers * rows
    assert {bad.text for bad in book.bad} <= {"from a program that knows no lock"}


def test_a_reader_never_meets_half_an_append(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    rows = [row(number / 100, number) for number in range(2000)]
    ledger.append(path, rows[:1])
    writer = threading.Thread(
        target=lambda: [ledger.append(path, rows[n : n + 40]) for n in range(1, 2000, 40)]
    )
    writer.start()
    while writer.is_alive():
        book = ledger.read(path)
        assert not book.bad
        assert (book.rows - 1) % 40 == 0 or book.rows == 2000
    writer.join()
    assert list(ledger.read(path).every_row()) == rows


def test_other_files_of_lines_are_appended_to_as_safely(tmp_path: Path) -> None:
    path = tmp_path / "usage.computed.csv"
    assert ledger_file.append_lines(path, ["1", "2"], header="number") == ()
    path.write_text(path.read_text() + "3 but not fin")
    (bad,) = ledger_file.append_lines(path, ["4"], header="number")
    assert (bad.number, bad.text) == (4, "3 but not fin")
    assert path.read_text() == "number\n1\n2\n4\n"
    assert ledger.side_file(path).read_text() == "3 but not fin\n"


# Segments


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
        pytest.param([100, 200, 110, 210], [100, 200, 200, 210], id="low for a day"),
        pytest.param([100, 200, 90_000, 210], [100, 200, 210, 210], id="high for a day"),
    ],
)
def test_a_figure_that_the_next_one_belies_is_a_misreading(
    tmp_path: Path, reported: list[float], expected: list[float]
) -> None:
    rows = [row(number, used) for number, used in enumerate(reported)]
    found = ledger.read(written(tmp_path / "usage.csv", rows)).segments[CPU]
    assert figures(found) == [("first", expected)]


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


# Import and export


def test_import_adds_what_is_new(tmp_path: Path) -> None:
    path, source = tmp_path / "usage.csv", tmp_path / "old.csv"
    ledger.append(path, [row(3, 30), row(4, 40)])
    source.write_text(text([row(1, 10), row(2, 20), row(2, 20), row(3, 30)], ends="\r\n") + "bad\r\n")
    before = source.read_bytes()
    done = ledger.import_rows(path, source)
    assert (done.added, done.known, done.bad) == (2, 2, ())
    assert [bad.number for bad in done.unreadable] == [6]
    assert source.read_bytes() == before
    assert figures(ledger.read(path).segments[CPU]) == [("first", [10, 20, 30, 40])]
    again = ledger.import_rows(path, source)
    assert (again.added, again.known) == (0, 4)
    assert ledger.import_rows(path, path).added == 0


def test_import_begins_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    rows = [row(2, 2), row(1, 1)]
    assert ledger.import_rows(path, written(tmp_path / "old.csv", rows)).added == 2
    assert path.read_text() == text(rows)


def test_import_of_no_ledger_changes_nothing(tmp_path: Path) -> None:
    path, source = tmp_path / "usage.csv", tmp_path / "notes"
    source.write_text("milk\n")
    for missing in (source, tmp_path / "none"):
        with pytest.raises(AllocationError):
            ledger.import_rows(path, missing)
    assert not path.exists()


def test_an_import_that_fails_midway_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "usage.csv"
    ledger.append(path, [row(1, 1)])
    before = path.read_bytes()
    source = written(tmp_path / "old.csv", [row(number, number) for number in range(2, 9)])
    real = os.write

    def full(file: int, data: bytes) -> int:
        real(file, data[:200])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AllocationError, match="No space left"):
        ledger.import_rows(path, source)
    assert path.read_bytes() == before


def test_export_is_in_order_of_time(tmp_path: Path) -> None:
    rows = [row(3, 30), row(1, 10), row(1, 4, resource=GPU), row(2, 20.5)]
    book = ledger.read(written(tmp_path / "usage.csv", rows))
    ordered = [rows[1], rows[2], rows[3], rows[0]]
    assert ledger.export(book, "csv") == text(ordered)
    assert json.loads(ledger.export(book, "json"))[2] == {
        "timestamp": rows[3].timestamp,
        "resource": CPU,
        "service_units_used": 20.5,
        "service_units_allocated": GRANTED,
        "start_date": "2023-07-01",
        "end_date": "2024-06-30",
    }
    (tmp_path / "again.csv").write_text(ledger.export(book, "csv"))
    assert plain(ledger.read(tmp_path / "again.csv").segments[CPU]) == plain(book.segments[CPU])


def test_export_of_nothing_is_valid(tmp_path: Path) -> None:
    (tmp_path / "usage.csv").touch()
    book = ledger.read(tmp_path / "usage.csv")
    assert json.loads(ledger.export(book, "json")) == []
    assert ledger.export(book, "csv") == HEADER + "\n"


def test_the_ledger_needs_no_pandas() -> None:
    code = "import sys, allocation.ledger, allocation.verdict; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_days_begin_and_end_in_utc(tmp_path: Path) -> None:
    (segment,) = ledger.read(written(tmp_path / "usage.csv", [row(1, 1)])).segments[CPU]
    assert segment.starts_at == BEGINS == times.day_begins(START)
    assert segment.ends_at == times.day_ends(END)
