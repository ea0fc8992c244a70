"""The scheduled run as cron starts it: a real process, a cloud on loopback, a pulumi that takes notes."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from allocation.ladder import Rung, State
from stacks import budget_job, rung_file
from stacks.rung_file import Standing
from tests.unit.allocation.fake_cloud import Answer
from tests.unit.budget_scene import CHANGE, EXPORT, PREVIEW, SAME, UP, Scene, scene
from tests.unit.settings_files import PROGRAM

__all__ = ["scene"]


def test_without_yes_it_records_decides_and_shows(scene: Scene) -> None:
    scene.past(burn=24, allocated=500_000)
    rows = len(scene.ledger.read_text().splitlines())
    done = scene.run()
    assert done.returncode == 0, done.stderr
    assert len(scene.ledger.read_text().splitlines()) == rows + 1
    assert "Budget ladder: normal; " in done.stdout
    assert "the price" in done.stdout
    assert "update pools-low" in done.stdout
    assert "Nothing was changed; --yes does it." in done.stdout
    assert scene.called == [PREVIEW]
    (line,) = scene.lines
    assert (line["stack"], line["rung_before"], line["rung"]) == ("prod", "normal", "normal")
    assert "may still go to users" in line["why"]
    assert rung_file.read(scene.rung_file).state.rung == Rung.NORMAL


def test_pulumi_runs_the_program_by_this_python_though_cron_has_another(scene: Scene) -> None:
    scene.run()
    found = Path((scene.folder / "bin" / "python").read_text())
    assert found == Path(sys.executable).with_name("python")


def test_the_rung_is_said_once(scene: Scene) -> None:
    """The preview of a pinned rung says the same each time, and so may be known beforehand."""
    scene.settings(f"{{ ledger: {scene.ledger}, rung: normal }}")
    scene.previews([SAME], told="Budget ladder: normal; gateway:budget.rung pins it.")
    assert scene.run().stdout.count("Budget ladder") == 1
    scene.previews([SAME], told="Budget ladder: something else.")
    assert scene.run().stdout.count("Budget ladder") == 2


def test_yes_applies_what_changes(scene: Scene) -> None:
    assert scene.run("--yes").returncode == 0
    assert scene.called == [PREVIEW, UP]


def test_yes_does_nothing_where_nothing_changes(scene: Scene) -> None:
    scene.previews([SAME])
    done = scene.run("--yes")
    assert done.returncode == 0
    assert "Nothing is to be changed." in done.stdout
    assert scene.called == [PREVIEW]


def test_an_allocation_that_runs_dry_climbs_a_rung_once_in_six_hours(scene: Scene) -> None:
    scene.past(burn=45, allocated=330_000)
    for _ in range(2):
        assert scene.run("--yes").returncode == 0
    assert [(line["rung_before"], line["rung"]) for line in scene.lines] == [
        ("normal", "shorter-culling"),
        ("shorter-culling", "shorter-culling"),
    ]
    assert "the next rung waits" in scene.lines[1]["why"]
    assert "Budget ladder: shorter-culling since" in scene.run().stdout


def test_json_is_all_of_standard_output(scene: Scene) -> None:
    done = scene.run("--json")
    told = json.loads(done.stdout)
    assert (told["rung"], told["changes"], told["applied"]) == ("normal", 1, False)
    assert "Budget ladder" in done.stderr


def test_a_failed_recording_is_told_and_leaves_no_rung(scene: Scene) -> None:
    scene.past(burn=24, allocated=900_000)
    now = time.time()
    states = (State(rung=Rung.NORMAL, since=0.0), State(rung=Rung.HIGH_CLOSED, since=now - 3 * 86400))
    rung_file.write(scene.rung_file, Standing(states=states, why="", lifts=""))
    (scene.folder / "clouds.yaml").write_text("clouds: {}\n")
    done = scene.run()
    assert done.returncode == 0
    assert "Recording failed, and the run goes on with old figures" in done.stderr
    assert scene.lines[-1]["rung"] == "high-closed"
    assert "no rung is left while this run could not fetch figures" in scene.lines[-1]["why"]
    scene.cloud.clouds_yaml(scene.folder)
    assert scene.run().returncode == 0
    assert scene.lines[-1]["rung"] == "lower-ceilings"


def test_an_accounting_service_that_hangs_is_given_up_and_the_run_goes_on(scene: Scene) -> None:
    scene.past(burn=45, allocated=330_000)
    before = scene.ledger.read_bytes()
    scene.cloud.accounting = [Answer(delay_s=120)]
    scene.record_seconds = 4
    done = scene.run("--yes")
    assert done.returncode == 0, done.stderr
    assert "the run goes on with old figures: no answer in 4 s" in done.stderr
    assert scene.ledger.read_bytes() == before
    assert scene.called == [PREVIEW, UP]
    [line] = scene.lines
    assert (line["rung"], line["stale"]) == ("shorter-culling", "this run could not fetch figures")
    assert scene.outcomes[0]["applied"]


def test_one_run_at_a_time(scene: Scene) -> None:
    with (scene.folder / "usage.budget.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = scene.run("--yes")
    assert done.returncode == budget_job.BUSY == 75
    assert "Another run on" in done.stderr
    assert scene.called == []
    assert scene.lines == []
    assert not scene.ledger.exists()


def test_a_refused_preview_ends_the_run_before_anything_changes(scene: Scene) -> None:
    scene.previews([], status=255, told="error: The change is refused")
    done = scene.run("--yes")
    assert done.returncode == 1
    assert "The change is refused" in done.stdout
    assert "pulumi preview failed, and nothing was changed" in done.stderr
    assert scene.called == [PREVIEW]


STANDS = {
    "low": {"flavor": "m3.quad", "min": 1, "max": 3},
    "high": {"flavor": "m3.medium", "min": 1, "max": 2},
}
HELD = {"says": json.dumps({"steps": [CHANGE]}), "status": 0}


def test_a_refused_raise_of_the_pools_does_not_stop_the_brake(scene: Scene) -> None:
    """The settings let ``low`` have 4 nodes, the state 3; the hook refuses that, and the rung is applied."""
    scene.past(burn=45, allocated=330_000)
    scene.refuses(STANDS, held=HELD)
    done = scene.run("--yes")
    assert done.returncode == 0, done.stderr
    assert scene.called == [PREVIEW, EXPORT, PREVIEW, UP]
    assert scene.told("preview") == scene.told("up") == STANDS
    held = {"low": "1 to 3 m3.quad (asked for: 1 to 4 m3.quad)"}
    told = f"The rung is applied without the change that is refused. low: {held['low']}"
    assert told in done.stderr
    assert "The change is refused, as" in done.stdout
    assert scene.lines[0]["rung"] == "shorter-culling"
    [outcome] = scene.outcomes
    assert (outcome["changes"], outcome["applied"], outcome["held"]) == (1, True, held)
    assert outcome["failed"] is None


def test_a_rung_that_is_left_is_left_as_far_as_that_is_not_refused(scene: Scene) -> None:
    """Also where none is left that brakes: the hub would go on by the rung's settings."""
    scene.past(burn=24, allocated=900_000)
    since = time.time() - 3 * 86400
    states = (State(rung=Rung.NORMAL, since=0.0), State(rung=Rung.SHORTER_CULLING, since=since))
    rung_file.write(scene.rung_file, Standing(states=states, why="", lifts=""))
    scene.refuses(STANDS, held=HELD)
    assert scene.run("--yes").returncode == 0
    assert [line["rung"] for line in scene.lines] == ["normal"]
    assert scene.outcomes[-1]["held"]
    assert scene.run("--yes").returncode == 1, "with no rung to apply, it is refused as any change is"
    assert scene.outcomes[-1]["failed"] == "pulumi preview failed, and nothing was changed."
    assert not scene.outcomes[-1]["applied"]


def _another_state(scene: Scene) -> None:
    scene.answers["stack"] = {"says": "{}", "status": 0}


def _no_state(scene: Scene) -> None:
    scene.answers["stack"] = {"says": "error: no such stack", "status": 255}


def _another_pool(scene: Scene) -> None:
    scene.refuses({"other": STANDS["low"]}, held=HELD)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_another_state, "the rung cannot be applied without it"),
        (_no_state, "pulumi stack export failed"),
        (_another_pool, "the rung cannot be applied without it"),
    ],
)
def test_where_the_rung_cannot_be_applied_the_log_says_so(
    scene: Scene, harm: Callable[[Scene], None], words: str
) -> None:
    scene.past(burn=45, allocated=330_000)
    scene.refuses(STANDS, held=HELD)
    harm(scene)
    done = scene.run("--yes")
    assert done.returncode == 1
    assert words in done.stderr
    assert scene.called == [PREVIEW, EXPORT]
    assert scene.lines[0]["rung"] == "shorter-culling"
    [outcome] = scene.outcomes
    assert words in outcome["failed"]
    assert not outcome["applied"]


def test_the_log_says_what_became_of_each_run(scene: Scene) -> None:
    scene.run()
    scene.run("--yes")
    scene.previews([SAME])
    scene.run("--yes")
    assert [(one["changes"], one["applied"], one["failed"]) for one in scene.outcomes] == [
        (1, False, None),
        (1, True, None),
        (0, False, None),
    ]
    for decision, outcome in zip(scene.lines, scene.outcomes, strict=True):
        assert outcome["stack"] == "prod"
        assert decision["at"] <= outcome["at"]


def _no_price(scene: Scene) -> None:
    file = scene.folder / "Pulumi.prod.yaml"
    unpriced = "  gateway:flavors: { odd.one: { vcpus: 8, memory_gib: 30 } }\n"
    file.write_text(file.read_text().replace("m3.medium", "odd.one") + unpriced)


def _damaged_ledger(scene: Scene) -> None:
    scene.ledger.write_text("this,is,something,else\n")


@pytest.mark.parametrize(("harm", "words"), [(_no_price, "odd.one"), (_damaged_ledger, "is not a ledger")])
def test_why_nothing_was_decided_is_in_the_log(
    scene: Scene, harm: Callable[[Scene], None], words: str
) -> None:
    scene.past(burn=24, allocated=500_000)
    harm(scene)
    done = scene.run("--yes")
    assert done.returncode == 1
    assert scene.lines == []
    [outcome] = scene.outcomes
    assert words in outcome["failed"]
    assert words in done.stderr


def test_a_failed_up_is_told_with_its_last_words(scene: Scene) -> None:
    scene.answers["up"] = {"says": "error: Magnum answers 409", "status": 255}
    done = scene.run("--yes")
    assert done.returncode == 1
    assert "Magnum answers 409" in done.stderr


def until(check: Callable[[], bool], what: str) -> None:
    """Waits until a check holds."""
    deadline = time.monotonic() + 120
    while not check():
        assert time.monotonic() < deadline, f"in 120 s not seen: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize("request_to_end", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_lets_pulumi_end_what_it_has_begun(
    scene: Scene, request_to_end: signal.Signals
) -> None:
    scene.answers["up"]["waits"] = True
    with scene.started("--yes") as job:
        until(lambda: UP in scene.called, "pulumi up")
        job.send_signal(request_to_end)
        _, errors = job.communicate(timeout=120)
    assert (job.returncode, errors) == (130, "Stopped; the next run goes on from here.\n")
    assert (scene.folder / "bin" / "interrupts").read_text().splitlines() == ["one"]
    assert scene.outcomes[0]["failed"] == "it was stopped"
    scene.answers["up"]["waits"] = False
    assert scene.run("--yes").returncode == 0


def test_of_a_killed_run_pulumi_ends_by_itself_and_the_next_run_goes_on(scene: Scene) -> None:
    """Its output has nowhere to go, which must not end it in the middle of a change."""
    scene.answers["up"]["waits"] = True
    with scene.started("--yes") as job:
        until(lambda: UP in scene.called, "pulumi up")
        job.kill()
        job.communicate(timeout=120)
    (scene.folder / "bin" / "go").touch()
    until((scene.folder / "bin" / "ended").exists, "the end of pulumi up")
    assert scene.run("--yes").returncode == 0
    assert [line["rung"] for line in scene.lines] == ["normal", "normal"]


def test_no_rung_is_kept_without_the_line_that_explains_it(scene: Scene) -> None:
    (scene.folder / "usage.decisions.jsonl").mkdir()
    scene.past(burn=45, allocated=330_000)
    done = scene.run("--yes")
    assert done.returncode == 1
    assert "The machine refuses" in done.stderr
    assert not scene.rung_file.exists()
    (scene.folder / "usage.decisions.jsonl").rmdir()
    assert scene.run("--yes").returncode == 0
    assert scene.lines[-1]["rung"] == "shorter-culling"


def locked(host: str, process: int) -> dict[str, object]:
    """What Pulumi 3.250 answers where another holds the stack's lock."""
    words = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or "
        "delete the lock file with `pulumi cancel`.\n"
        f"  file:///state/1a9587c8.json?no_tmp_dir=true: created by root@{host} (pid {process}) "
        "at 2026-11-23T19:04:26Z\n"
    )
    return {"says": "", "warns": words, "status": 1}


CANCEL = ["cancel", "--stack", "prod", "--yes"]


def test_the_lock_of_a_pulumi_that_died_here_is_removed(scene: Scene) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    scene.answers["up"] = locked(platform.node(), dead.pid)
    done = scene.run("--yes")
    assert done.returncode == 0, done.stderr
    assert scene.called == [PREVIEW, UP, CANCEL, UP]
    assert "The lock of a Pulumi that died on this machine is removed." in done.stdout


@pytest.mark.parametrize(("host", "process"), [(platform.node(), os.getpid()), ("elsewhere", 4_000_000)])
def test_a_lock_that_may_be_in_use_is_left_and_told(scene: Scene, host: str, process: int) -> None:
    scene.answers["up"] = locked(host, process)
    done = scene.run("--yes")
    assert done.returncode == 1
    assert "delete the lock file with `pulumi cancel`" in done.stderr
    assert scene.called == [PREVIEW, UP]


def _no_ledger(scene: Scene) -> None:
    scene.settings("{ policy: advise }")


def _wrong_setting(scene: Scene) -> None:
    scene.settings("{ policy: never }")


def _no_stack(scene: Scene) -> None:
    (scene.folder / "Pulumi.prod.yaml").unlink()


def _no_pulumi(scene: Scene) -> None:
    (scene.folder / "bin" / "pulumi").unlink()


def _damaged_rung(scene: Scene) -> None:
    scene.rung_file.write_text("{")


def _no_ledger_at_all(scene: Scene) -> None:
    scene.ledger.write_text("this,is,something,else\n")


def _nonsense(scene: Scene) -> None:
    scene.answers["preview"] = {"says": "error: no such stack", "status": 255}


def _no_gateway_yet(scene: Scene) -> None:
    panic = "panic: attempt to encrypt value\n\ngoroutine 65 [running]:\nmain.go:118"
    scene.answers["preview"] = {"says": "", "warns": panic, "status": 2}


def _no_folder(scene: Scene) -> None:
    scene.settings(f"{{ ledger: {scene.folder}/none/usage.csv }}")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_no_ledger, "gateway:budget.ledger names no file"),
        (_wrong_setting, "gateway:budget.policy"),
        (_no_stack, "Pulumi.prod.yaml is not in"),
        (_no_pulumi, "The program pulumi is not on the PATH"),
        (_damaged_rung, "remove it to begin at the lowest rung"),
        (_no_ledger_at_all, "is not a ledger"),
        (_nonsense, "no such stack"),
        (_no_gateway_yet, "run `pulumi up --stack prod` by hand once. Nothing was changed."),
        (_no_folder, "The machine refuses"),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_"),
)
def test_failures_are_told_in_words(scene: Scene, harm: Callable[[Scene], None], words: str) -> None:
    harm(scene)
    done = scene.run("--yes")
    assert done.returncode == 1, done.stdout
    assert words in done.stderr


def test_the_stack_is_always_named() -> None:
    command = [sys.executable, "-m", "stacks.budget_job"]
    done = subprocess.run(command, cwd=PROGRAM, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--stack" in done.stderr
    told = subprocess.run([*command, "--help"], cwd=PROGRAM, check=True, capture_output=True, text=True)
    assert "examples:" in told.stdout


def test_a_stack_has_no_path(scene: Scene) -> None:
    assert "is no name of a stack" in scene.run(stack="../prod").stderr


def test_the_log_says_when(scene: Scene) -> None:
    scene.run()
    assert date.fromisoformat(str(scene.lines[0]["at"])[:10]) - scene.today <= timedelta(days=1)
