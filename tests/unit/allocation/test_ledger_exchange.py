"""Import into and export from the ledger."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from allocation import ledger
from allocation.errors import AllocationError
from allocation.ledger import HEADER
from tests.unit.allocation.ledgers import (
    CPU,
    GPU,
    GRANTED,
    figures,
    plain,
    row,
    text,
    written,
)


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
