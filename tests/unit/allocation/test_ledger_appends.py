"""Appends to the ledger: what is left of them after crashes and races."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import pytest

from allocation import ledger, ledger_file, times
from allocation.errors import AllocationError
from allocation.ledger import HEADER
from tests.unit.allocation.ledgers import (
    GOOD,
    ROOT,
    names,
    row,
    text,
)


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


def test_a_clock_that_was_set_back_moves_no_rows(tmp_path: Path) -> None:
    """They are left out until their time comes again; a time in milliseconds is none, and goes."""
    path, now = tmp_path / "usage.csv", time.time()
    today = [dataclasses.replace(row(1, used), timestamp=now + used) for used in (10, 20)]
    ledger.append(path, today, now=now)
    path.write_text(path.read_text() + GOOD.replace("1688300000.25", "1688300000250") + "\n")
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(time, "time", lambda: now - 3 * times.DAY)
        assert [bad.number for bad in ledger.read(path).bad] == [2, 3, 4]
        earlier = row(1, 5)
        assert [bad.number for bad in ledger.append(path, [earlier]).bad] == [4]
        assert list(ledger.read(path).every_row()) == [earlier]
    assert list(ledger.read(path).every_row()) == [*today, earlier]


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
