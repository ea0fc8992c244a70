"""Where the ladder stands: kept whole, told in previews, and never guessed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pulumi
import pytest

from allocation.errors import AllocationError
from allocation.ladder import Decision, Rung, State
from allocation.times import DAY
from stacks import rung_file, rung_in_force
from stacks.rung_file import START, Standing, by_title, read, write
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, configuration

NOW = 1_800_000_000.0


def standing(rung: Rung = Rung.HIGH_CLOSED) -> Standing:
    return START.after(Decision(state=State(rung=rung, since=NOW), why="so it is", lifts="rain"))


def with_budget(**changes: object) -> Settings:
    plain = parse(*configuration(GOOD / "smallest.yaml"))
    return plain.model_copy(update={"budget": plain.budget.model_copy(update=changes)})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What previews would show."""
    lines: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lines.append)
    return lines


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "usage.rung.json"
    for kept in (START, standing(), standing().after(Decision(state=standing().state, why="b", lifts="c"))):
        write(path, kept)
        assert read(path) == kept
    assert [file.name for file in tmp_path.iterdir()] == ["usage.rung.json"]


def test_without_a_file_nothing_brakes(tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") == START


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"rungs": [], "why": "a", "lifts": "b"}',
        '{"rungs": [{"rung": "high", "since": 1}], "why": "a", "lifts": "b"}',
        '{"rungs": [{"rung": "normal", "since": 1e99}], "why": "a", "lifts": "b"}',
        '{"rungs": [{"rung": "normal", "since": null}], "why": "a", "lifts": "b"}',
        '{"rungs": [{"rung": "normal", "since": 2}, {"rung": "normal", "since": 1}], "why": "", "lifts": ""}',
    ],
)
def test_a_damaged_file_stops_the_program_and_says_the_cure(
    tmp_path: Path, told: list[str], text: str
) -> None:
    path = tmp_path / "usage.rung.json"
    path.write_text(text)
    with pytest.raises(AllocationError, match=r"usage\.rung\.json.*remove it.*gateway:budget\.rung"):
        read(path)
    with pytest.raises(pulumi.RunError, match="cannot be read"):
        rung_in_force.apply(with_budget(ledger=str(tmp_path / "usage.csv")), now=NOW)


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_whoever_may_read_the_ledger_may_read_the_rung(tmp_path: Path, mask: int) -> None:
    """The scheduled run may be another user's than the preview."""
    path = tmp_path / "usage.rung.json"
    old = os.umask(mask)
    try:
        write(path, standing())
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_file_that_may_not_be_read_is_not_to_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "usage.rung.json"
    path.mkdir()  # which not even root can read as a file
    with pytest.raises(AllocationError, match=r"let whoever runs this read it") as refusal:
        read(path)
    assert "remove" not in str(refusal.value)


def test_the_file_is_beside_the_ledger() -> None:
    assert rung_file.beside(Path("/a/usage.csv")) == Path("/a/usage.rung.json")


def test_without_a_ledger_it_is_said_that_nothing_brakes(told: list[str]) -> None:
    plain = with_budget()
    assert rung_in_force.apply(plain, now=NOW) == plain
    assert told == ["Budget ladder: normal; gateway:budget.ledger names no file to decide on."]


def test_who_wants_no_forecast_hears_of_no_ladder(told: list[str]) -> None:
    plain = with_budget(policy="off")
    assert rung_in_force.apply(plain, now=NOW) == plain
    assert told == []


def test_the_rung_in_force_is_applied_and_told(tmp_path: Path, told: list[str]) -> None:
    write(tmp_path / "usage.rung.json", standing())
    found = rung_in_force.apply(with_budget(ledger=str(tmp_path / "usage.csv")), now=NOW)
    assert [profile.closed for profile in found.profiles] == [False, True]
    assert {name: pool.max for name, pool in found.pools.items()} == {"low": 2, "high": 1}
    assert told == ["Budget ladder: high-closed since 2027-01-15 08:00 UTC; so it is. It is lifted by rain."]


def test_a_ledger_without_a_decision_is_told_as_such(tmp_path: Path, told: list[str]) -> None:
    plain = with_budget(ledger=str(tmp_path / "usage.csv"))
    assert rung_in_force.apply(plain, now=NOW) == plain
    assert told == [
        "Budget ladder: normal; usage.rung.json is not beside the ledger: nothing was decided yet, or "
        "in another folder, whose file is to be brought here first."
    ]


@pytest.mark.parametrize("rung", list(Rung))
def test_a_pinned_rung_overrides_the_file_even_a_damaged_one(
    tmp_path: Path, told: list[str], rung: Rung
) -> None:
    (tmp_path / "usage.rung.json").write_text("{")
    found = rung_in_force.apply(with_budget(ledger=str(tmp_path / "usage.csv"), rung=rung.title), now=NOW)
    assert (found.hub.notice is not None) == (rung >= Rung.HIGH_CLOSED)
    lifted = "" if rung == Rung.NORMAL else " It is lifted by gateway:budget.rung auto."
    assert told == [f"Budget ladder: {rung.title}; gateway:budget.rung pins it.{lifted}"]


def test_rungs_of_more_than_a_year_ago_are_forgotten_but_for_the_one_in_force_then() -> None:
    kept = START
    for day, rung in ((0, Rung.SHORTER_CULLING), (1, Rung.NORMAL), (500, Rung.SHORTER_CULLING)):
        state = State(rung=rung, since=NOW + day * DAY)
        kept = kept.after(Decision(state=state, why="", lifts=""))
    assert [(state.rung, state.since) for state in kept.states] == [
        (Rung.NORMAL, NOW + DAY),
        (Rung.SHORTER_CULLING, NOW + 500 * DAY),
    ]


def test_a_name_that_is_none_is_told_with_those_that_are() -> None:
    assert by_title("high-closed") == Rung.HIGH_CLOSED
    with pytest.raises(ValueError, match="there are normal, shorter-culling"):
        by_title("high")
