"""How the gate's stages share the lab, and that they run all tests once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import lanes
from tests.lanes import LAB_UP, PROGRAM, Stage, Use, next_of

SAYS = [sys.executable, "-c", "print('said')"]
FAILS = [sys.executable, "-c", "raise SystemExit('why')"]


def stage(name: str, use: Use, command: list[str] = SAYS) -> Stage:
    return Stage(name=name, command=command, use=use)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (Use.NOTHING, Use.LAB_ALONE, True),
        (Use.TOOLS, Use.LAB_ALONE, False),
        (Use.CLOUD, Use.LAB_ALONE, False),
        (Use.CLOUD, Use.CLOUD, True),
        (Use.CLOUD, Use.CLOUD_ALONE, False),
        (Use.CLOUD_ALONE, Use.CLOUD_ALONE, False),
        (Use.TOOLS, Use.CLOUD_ALONE, True),
        (Use.TOOLS, Use.CLOUD, True),
    ],
)
def test_who_shares_the_lab(one: Use, other: Use, together: bool) -> None:
    assert one.goes_with(other) is together
    assert other.goes_with(one) is together


def test_the_first_that_can_begin_does() -> None:
    alone, shared, free = (
        stage("alone", Use.CLOUD_ALONE),
        stage("shared", Use.CLOUD),
        stage("free", Use.NOTHING),
    )
    assert next_of([alone, shared, free], [], lab_is_up=True) == alone
    assert next_of([shared, free], [alone], lab_is_up=True) == free
    assert next_of([alone, free], [], lab_is_up=False) == free
    assert next_of([alone], [shared], lab_is_up=True) is None
    assert next_of([free], [free] * lanes.LANES, lab_is_up=True) is None


def test_all_run_and_what_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    order = [stage(LAB_UP, Use.LAB_ALONE), stage("one", Use.CLOUD_ALONE), stage("two", Use.CLOUD, FAILS)]
    assert lanes.run(order) == ["two"]
    told = capsys.readouterr().out
    assert "said\nSTAGE one: passed (" in told
    assert "why\nSTAGE two: FAILED (" in told


def test_without_the_lab_its_tests_fail_and_the_others_run(capsys: pytest.CaptureFixture[str]) -> None:
    order = [stage(LAB_UP, Use.LAB_ALONE, FAILS), stage("one", Use.CLOUD), stage("two", Use.NOTHING)]
    assert lanes.run(order) == [LAB_UP, "one"]
    told = capsys.readouterr().out
    assert "STAGE one: FAILED (the lab is not up)" in told
    assert "STAGE two: passed (" in told


def test_every_file_of_tests_runs_once() -> None:
    found: list[Path] = []
    for each in lanes.stages():
        ignored = {PROGRAM / path.removeprefix("--ignore=") for path in each.command if "--ignore=" in path}
        for path in (PROGRAM / word for word in each.command if word.startswith("tests/")):
            assert path.exists(), path
            found += [path] if path.is_file() else sorted(set(path.rglob("test_*.py")) - ignored)
    assert sorted(found) == sorted((PROGRAM / "tests").rglob("test_*.py"))
