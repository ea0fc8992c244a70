"""The file of samples beside a ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import samples
from allocation.errors import AllocationError
from allocation.samples import Sample

NUMBERS = st.floats(0, 1e12)
SAMPLES = st.builds(
    Sample,
    timestamp=NUMBERS,
    resource=st.sampled_from(["jetstream2.indiana.xsede.org", "jetstream2-gpu.indiana.xsede.org"]),
    su_per_hour=NUMBERS,
    servers=st.integers(0, 10**6),
    unknown=st.integers(0, 10**6),
)

GOOD = "1767225600.0,jetstream2.indiana.xsede.org,16.5,3,0"


def test_a_file_never_begun_has_no_samples(tmp_path: Path) -> None:
    assert samples.read(tmp_path / "usage.csv") == samples.Samples(rows=(), bad=())
    samples.append(tmp_path / "usage.csv", [])
    assert list(tmp_path.iterdir()) == []


def test_it_lies_beside_the_ledger() -> None:
    assert samples.beside(Path("/var/gateway/usage.csv")) == Path("/var/gateway/usage.computed.csv")


@given(st.lists(SAMPLES, min_size=1, max_size=5), st.lists(SAMPLES, max_size=5))
def test_what_is_appended_is_read_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, some: list[Sample], more: list[Sample]
) -> None:
    ledger = tmp_path_factory.mktemp("samples") / "usage.csv"
    samples.append(ledger, some)
    samples.append(ledger, more)
    assert samples.read(ledger) == samples.Samples(rows=(*some, *more), bad=())
    assert not ledger.exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,cpu,16", "has 3 fields"),
        ("x,cpu,16,3,0", "could not convert"),
        ("1,cpu,nan,3,0", "not finite"),
        ("inf,cpu,4,3,0", "not finite"),
        ("1,cpu,-4,3,0", "below 0"),
        ("1,cpu,4,3.5,0", "invalid literal"),
        (f"1,cpu,4,{10**400},0", "too large"),
        ("1,cpu,1e300,3,0", "too large"),
    ],
)
def test_a_bad_line_is_reported_and_the_rest_is_read(tmp_path: Path, line: str, reason: str) -> None:
    ledger = tmp_path / "usage.csv"
    path = samples.beside(ledger)
    content = f"{samples.HEADER}\n{line}\n\n{GOOD}\n"
    path.write_text(content)
    found = samples.read(ledger)
    assert [sample.su_per_hour for sample in found.rows] == [16.5]
    ((number, text, why),) = [(bad.number, bad.text, bad.reason) for bad in found.bad]
    assert (number, text) == (2, line)
    assert reason in why
    assert path.read_text() == content


def test_an_unfinished_line_is_set_aside_before_the_next(tmp_path: Path) -> None:
    ledger = tmp_path / "usage.csv"
    samples.beside(ledger).write_text(f"{samples.HEADER}\n{GOOD}\n17672")
    samples.append(ledger, samples.read(ledger).rows)
    assert samples.beside(ledger).read_text() == f"{samples.HEADER}\n{GOOD}\n{GOOD}\n"
    assert samples.beside(ledger).with_name("usage.computed.csv.bad").read_text() == "17672\n"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    samples.beside(tmp_path / "usage.csv").mkdir()
    with pytest.raises(AllocationError, match=r"usage\.computed\.csv cannot be read"):
        samples.read(tmp_path / "usage.csv")
