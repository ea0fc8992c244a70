"""Records of the accounting service: each field, and each way in which it can be wrong."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import records
from allocation.errors import AllocationError
from tests.unit.allocation.fake_cloud import record

SOURCE = "the accounting service at http://127.0.0.1:9001"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def parse(*raw: Any) -> list[records.Allocation]:
    return records.parse(json.dumps(list(raw)).encode(), source=SOURCE)


def test_a_record_is_read() -> None:
    assert parse(record()) == [
        records.Allocation(
            resource="jetstream2.indiana.xsede.org",
            used=1234.5,
            allocated=100000.0,
            start=date(2026, 1, 1),
            end=date(2026, 12, 31),
            active=True,
            description="TG-ATM000001",
        )
    ]


def test_null_usage_is_no_figure_not_zero_and_no_crash() -> None:
    """The old script crashed on it."""
    assert parse(record(service_units_used=None))[0].used is None
    assert parse(record(service_units_used=0))[0].used == 0.0


def test_an_unknown_resource_is_kept() -> None:
    assert parse(record(resource="jetstream3-qpu.indiana.xsede.org"))[0].resource.startswith("jetstream3")


def test_no_allocation_at_all_is_an_empty_list() -> None:
    assert parse() == []


def test_further_keys_are_left_alone() -> None:
    assert parse(record(grant="NSF")) == parse(record())


@pytest.mark.parametrize(
    "text", ["2026-12-31", "2026-12-31T00:00:00", "2026-12-31T23:59:59Z", "2026-12-31T19:00-04:00"]
)
def test_a_date_may_have_a_time_of_day(text: str) -> None:
    assert parse(record(end_date=text))[0].end == date(2026, 12, 31)


@pytest.mark.parametrize("key", sorted(record()))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(AllocationError, match=rf"number 1.*{key} is missing"):
        parse(record(**{key: ...}))


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("service_units_used", "1234.5", '"1234.5", not a number'),
        ("service_units_used", True, "true, not a number"),
        ("service_units_used", -1, "-1, not a number of SU from 0 up"),
        ("service_units_used", float("nan"), "NaN, not"),
        ("service_units_used", float("inf"), "Infinity, not"),
        ("service_units_used", [1], "a list of 1, not"),
        ("service_units_allocated", None, "null, not"),
        ("service_units_allocated", "many", '"many", not'),
        ("service_units_allocated", -0.5, "-0.5, not"),
        ("service_units_allocated", 10**400, "not a number of SU from 0 up"),
        ("start_date", "31.12.2026", '"31.12.2026", not a date'),
        ("start_date", "", '"", not a date'),
        ("start_date", None, "null, not text"),
        ("end_date", 20261231, "20261231, not text"),
        ("end_date", "2026-02-30", '"2026-02-30", not a date'),
        ("end_date", "9999-12-31", "not between 2000 and 2199"),
        ("end_date", "0001-01-01T00:00+14:00", "not a date"),
        ("resource", 7, "7, not text"),
        ("resource", "", '"", not a name'),
        ("resource", " ", '" ", not a name'),
        ("resource", "a\nb", "not a name"),
        ("active", "1", '"1", not 0 or 1'),
        ("active", 2, "2, not 0 or 1"),
        ("active", True, "true, not 0 or 1"),
        ("active", None, "null, not 0 or 1"),
        ("active", [], "a list of 0, not 0 or 1"),
        ("description", None, "null, not text"),
        ("abstract", {"a": 1}, "an object of 1, not text"),
    ],
)
def test_a_field_that_cannot_be_right_is_named_with_its_value(key: str, value: object, shown: str) -> None:
    good, bad = record(), record(**{key: value})
    with pytest.raises(AllocationError) as failure:
        parse(good, bad)
    message = str(failure.value)
    assert message.startswith(SOURCE)
    assert "number 2" in message
    assert key in message
    assert shown in message
    assert "try again later" in message
    assert "\n" not in message


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(AllocationError, match="end_date 2025-12-31 is before start_date 2026-01-01"):
        parse(record(end_date="2025-12-31"))


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(AllocationError) as failure:
        parse(record(end_date="x" * 10_000))
    assert len(str(failure.value)) < 500


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<!DOCTYPE html><title>Login</title>", r"web page \(HTML\)"),
        (b"\n <html>", r"web page \(HTML\)"),
        (b"", "something else"),
        (b"[{", "something else"),
        (b"\xff\xfe\x00", "something else"),
        (b"[" * 100_000, "something else"),
        (b"9" * 10_000, "something else"),
        (b"{}", "an object of 0"),
        (b'{"error": "no"}', "an object of 1"),
        (b"null", "sends null"),
        (b'"text"', 'sends "text"'),
    ],
)
def test_an_answer_that_is_no_list_is_told(body: bytes, found: str) -> None:
    with pytest.raises(AllocationError, match=found):
        records.parse(body, source=SOURCE)


@pytest.mark.parametrize("entry", [None, 3, "text", []])
def test_an_entry_that_is_no_object_is_told(entry: object) -> None:
    with pytest.raises(AllocationError, match=r"number 1: it is .*, not an object"):
        parse(entry)


@given(st.dictionaries(st.sampled_from(sorted(record())), JSON))
def test_whatever_is_sent_is_either_right_or_refused_in_words(changes: dict[str, Any]) -> None:
    try:
        (taken,) = parse(record(**changes))
    except AllocationError:
        return
    assert taken.used is None or 0 <= taken.used < float("inf")
    assert 0 <= taken.allocated < float("inf")
    assert taken.start <= taken.end
