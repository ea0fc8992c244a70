"""The accounting's books: usage is what the servers burnt, whatever happened in between."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.accounting import books
from lab.accounting.books import LAG, Allocation, Books, opened
from lab.accounting.rates import CPU
from lab.errors import LabError

NOW = 1_800_000_000.0
HOUR = 3600.0
GPU = "jetstream2-gpu.indiana.xsede.org"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for the books."""
    monkeypatch.setattr(books, "FILE", tmp_path / "accounting" / "books.json")
    monkeypatch.setattr(books, "LOCK", tmp_path / "accounting" / "lock")
    return books.FILE


def now(found: Books, real: float) -> float:
    return found.clock.at(real)


def test_new_books_have_used_nothing_of_a_years_allocation_around_now() -> None:
    found = opened(NOW)
    assert found.used(CPU, NOW + HOUR) == 0
    assert found.allocation.allocated == 100_000
    assert found.allocation.end - found.allocation.start == timedelta(days=364)
    assert found.allocation.start < books.day(NOW) < found.allocation.end
    assert found.past.end == found.allocation.start - timedelta(days=1)


def test_usage_is_a_line_while_nothing_changes_and_nothing_is_written() -> None:
    found = opened(NOW).metered({CPU: 4.0}, [], real=NOW)
    assert found.used(CPU, NOW + 24 * HOUR) == 96
    assert found.metered({CPU: 4.0}, [], real=NOW + HOUR) is found


def test_a_jump_burns_as_the_servers_stand() -> None:
    found = opened(NOW).metered({CPU: 8.0}, [], real=NOW)
    jumped = found.model_copy(update={"clock": found.clock.jumped(60 * 24 * HOUR, real=NOW)})
    after = jumped.metered({CPU: 2.0}, [], real=NOW + HOUR)
    assert after.used(CPU, now(after, NOW + HOUR)) == pytest.approx(60 * 24 * 8 + 8)
    assert after.burn(CPU) == 2


def test_a_resource_appears_with_its_first_server_and_stays() -> None:
    found = opened(NOW).metered({CPU: 4.0, GPU: 8.0}, [], real=NOW + HOUR)
    assert found.used(GPU, NOW + 2 * HOUR) == 8
    ended = found.metered({}, [], real=NOW + 2 * HOUR)
    assert (ended.burn(CPU), ended.burn(GPU)) == (0, 0)
    assert ended.used(GPU, NOW + 9 * HOUR) == 8


def test_an_unknown_flavor_is_remembered_until_it_goes() -> None:
    found = opened(NOW).metered({}, ["x9.huge"], real=NOW)
    assert found.unknown == ("x9.huge",)
    assert found.metered({}, [], real=NOW).unknown == ()


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 400.0),  # hours until the next look
            st.sampled_from([0.0, 1.0, 2.0, 4.0, 8.0, 26.0]),  # what it sees
            st.booleans(),  # whether the time passes by a jump
        ),
        min_size=1,
        max_size=30,
    )
)
def test_usage_is_the_sum_of_hours_times_rates_through_jumps_and_kills(
    steps: list[tuple[float, float, bool]],
) -> None:
    found, real, expected, burn = opened(NOW), NOW, 0.0, 0.0
    for hours, seen, by_jump in steps:
        before = found.used(CPU, now(found, real))
        if by_jump:
            found = found.model_copy(update={"clock": found.clock.jumped(hours * HOUR, real=real)})
        else:
            real += hours * HOUR
        expected += hours * burn
        assert found.used(CPU, now(found, real)) >= before
        # A kill leaves the file: what is read from it goes on as if nothing had been.
        found = Books.model_validate_json(found.model_dump_json()).metered({CPU: seen}, [], real=real)
        burn = seen
        assert math.isclose(found.used(CPU, now(found, real)), expected, rel_tol=1e-6, abs_tol=1e-3)


def test_what_lags_is_exact_and_older_readings_are_dropped() -> None:
    found = opened(NOW)
    for hour in range(100):
        found = found.metered({CPU: float(hour % 2 + 1)}, [], real=NOW + hour * HOUR)
    time = NOW + 99 * HOUR - LAG
    assert found.used(CPU, time) == 41 * 1 + 40 * 2  # hours 0 to 80, the even ones at 1 SU/h
    assert len(found.meters[CPU]) <= LAG / HOUR + 2


def test_another_first_day_is_a_renewal() -> None:
    found = opened(NOW).metered({CPU: 4.0}, [], real=NOW)
    later = NOW + 10 * HOUR
    start = books.day(later)
    renewed = found.granted(Allocation(allocated=500, start=start, end=date(2030, 1, 1)), real=later)
    assert renewed.used(CPU, later) == 0
    assert renewed.used(CPU, later + HOUR) == 4
    assert (renewed.past.used, renewed.past.start) == (40, found.allocation.start)


def test_more_su_or_another_last_day_go_on_with_what_was_used() -> None:
    found = opened(NOW).metered({CPU: 4.0}, [], real=NOW)
    later = NOW + 10 * HOUR
    supplement = found.allocation.model_copy(update={"allocated": 7.0, "end": date(2030, 1, 1)})
    granted = found.granted(supplement, real=later)
    assert (granted.used(CPU, later), granted.allocation) == (40, supplement)
    assert granted.past == found.past


def test_kept_in_a_private_file(file: Path) -> None:
    found = opened(NOW, {CPU: 2.0, GPU: 1.0})
    with books.alone():
        books.save(found)
    assert books.load() == found
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_books_yet(file: Path) -> None:
    with pytest.raises(LabError, match="lab up"):
        books.load()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\x00"])
def test_damaged_books_are_refused_and_kept(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(LabError, match="clock --reset"):
        books.load()
    assert file.read_text() == text
