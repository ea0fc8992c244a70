"""The command line: what is printed where, exit statuses, and no traceback whatever is given."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from allocation import cli, ledger, samples, times
from allocation.samples import Sample
from tests.unit.allocation.made_up import CPU, write_ledger

PROGRAM = Path(__file__).resolve().parents[3]
NOW = "--now=2026-07-01"
PLAN = """
stages:
  - since: 2026-01-01
    fixed: [{flavor: m3.quad, count: 1}]
    pools:
      low: {flavor: m3.quad, min: 1, max: 4}
"""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command within this process."""

    def run_command(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return run_command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_ledger(tmp_path / "usage.csv", burn=10)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def process(*arguments: object) -> Done:
    """Runs a command as users do, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "allocation", *map(str, arguments)],
        cwd=PROGRAM,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(("burn", "status"), [(10, 0), (12, 4)])
def test_report_exits_by_the_verdict(tmp_path: Path, run: Run, burn: float, status: int) -> None:
    # 8760 hours: 87,600 and 105,120 of 100,000 SU.
    path = write_ledger(tmp_path / "usage.csv", burn=burn)
    done = run("report", "--ledger", path, NOW)
    assert done.status == status
    assert done.out.startswith("Lasts to 2026-12-31" if status == 0 else "Runs dry on 2026-12-")
    assert done.err == ""


def test_report_exits_with_a_warning_if_it_may_run_short(tmp_path: Path, run: Run) -> None:
    # A burn that jumps about leaves doubt; 100,500 SU would be enough if all goes as expected.
    path = tmp_path / "usage.csv"
    write_ledger(path, burn=10)
    lines = path.read_text().splitlines()
    used = 0.0
    for index, line in enumerate(lines[1:]):
        used += 480 if index % 2 else 0
        parts = line.split(",")
        lines[index + 1] = ",".join([*parts[:2], str(used), str(used + 44_500), *parts[4:]])
    granted = float(lines[-1].split(",")[3])
    lines = [
        lines[0],
        *(",".join([*line.split(",")[:3], str(granted), *line.split(",")[4:]]) for line in lines[1:]),
    ]
    path.write_text("\n".join(lines) + "\n")
    found = json.loads(run("report", "--ledger", path, NOW, "--json").out)["models"]["planned"]
    assert found["su_delta_low"] < 0 < found["su_delta"], found
    assert run("report", "--ledger", path, NOW).status == 3


def test_report_in_json_is_nothing_but_json(path: Path, run: Run) -> None:
    done = run("report", "--ledger", path, NOW, "--json", "--model", "linear")
    found = json.loads(done.out)
    assert (found["resource"], list(found["models"]), done.err) == (CPU, ["linear"], "")


def test_report_draws_a_picture(path: Path, tmp_path: Path, run: Run) -> None:
    picture = tmp_path / "usage.png"
    assert run("report", "--ledger", path, NOW, "--plot", picture).status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_report_changes_nothing_even_with_bad_lines_and_tells_them(path: Path, run: Run) -> None:
    with path.open("a") as file:
        file.write("rubbish\n")
    before = path.read_bytes()
    done = run("report", "--ledger", path, NOW)
    assert done.status == 0
    assert done.err == f"{path}: bad lines, left out: 1; the first: line 92 has 1 fields, not 6\n"
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["usage.csv"]


def test_simulate_shows_before_and_after_and_exits_by_the_after(path: Path, plan: Path, run: Run) -> None:
    options = ["--ledger", path, "--plan", plan, NOW]
    assert run("report", *options).status == 0
    # 20 m3.medium burn 160 SU/h, and have room for those who made `low` burn 2 SU/h above its floor.
    done = run("simulate", *options, "--pool", "high=m3.medium:20:20", "--json")
    found = json.loads(done.out)
    before, after = (found[side]["models"]["planned"] for side in ("before", "after"))
    hours = 184 * 24
    assert done.status == 4
    assert before["su_delta"] - after["su_delta"] == pytest.approx(158 * hours, rel=0.01)
    lines = run("simulate", *options, "--pool", "high=m3.medium:20:20").out.splitlines()
    assert lines[0] == after["sentence"]
    assert f"Without the change: {before['sentence']}" in lines


def test_simulate_from_a_later_day_costs_less(path: Path, plan: Path, run: Run) -> None:
    def delta(*more: str) -> float:
        options = ["--ledger", path, "--plan", plan, NOW, "--pool", "high=m3.medium:2:2", "--json", *more]
        return float(json.loads(run("simulate", *options).out)["after"]["models"]["planned"]["su_delta"])

    # 2 m3.medium burn 16 SU/h, and have room for those who made `low` burn 2 SU/h above its floor.
    assert delta("--since", "2026-10-01") - delta() == pytest.approx(14 * 92 * 24, rel=0.01)


def test_simulate_takes_days_and_draws_both(path: Path, plan: Path, tmp_path: Path, run: Run) -> None:
    picture = tmp_path / "both.svg"
    days = ["--class", "2026-08-24/2026-12-11", "--break", "2026-11-23/2026-11-27"]
    done = run("simulate", "--ledger", path, "--plan", plan, NOW, *days, "--plot", picture)
    assert done.status in (0, 3, 4)
    assert picture.exists()


def test_simulate_without_a_change_is_wrong_usage(path: Path, run: Run) -> None:
    done = run("simulate", "--ledger", path, NOW)
    assert done.status == 2
    assert "nothing is to change; give --pool, --class or --break" in " ".join(done.err.split())


def test_simulate_changes_no_past(path: Path, plan: Path, run: Run) -> None:
    change = ["--pool", "low=m3.quad:1:2", "--since", "2026-06-30"]
    done = run("simulate", "--ledger", path, "--plan", plan, NOW, *change)
    assert done.status == 2
    told = " ".join(done.err.replace("│", " ").split())
    assert "--since is in the past; what has been is told by the stages of the plan" in told


def test_simulate_a_pool_without_a_plan_says_what_is_missing(path: Path, run: Run) -> None:
    done = run("simulate", "--ledger", path, NOW, "--pool", "low=m3.quad:1:2")
    assert (done.status, done.out) == (1, "")
    assert "give --plan a file whose stages: begin by then" in done.err


def test_backtest_has_a_row_per_model_and_horizon(path: Path, run: Run) -> None:
    done = run("backtest", "--ledger", path)
    assert done.status == 0
    assert any(line.split()[:2] == ["planned", "30"] for line in done.out.splitlines())
    scores = json.loads(run("backtest", "--ledger", path, "--json").out)["scores"]
    assert {"model", "horizon_days", "trials", "error", "bias", "coverage"} == set(scores[0])


def test_backtest_of_a_short_ledger_says_what_it_takes(tmp_path: Path, run: Run) -> None:
    path = write_ledger(tmp_path / "usage.csv", burn=1, days=5)
    done = run("backtest", "--ledger", path)
    assert done.status == 1
    assert "too short for a backtest" in done.err


def test_drift_shows_reported_and_computed_use_by_day(path: Path, run: Run) -> None:
    # 10 SU/h are reported; the servers seem to burn 8 since June.
    june, july = times.parse_time("2026-06-01"), times.parse_time("2026-07-01")
    samples.append(
        path,
        [
            Sample(timestamp=moment, resource=CPU, su_per_hour=8, servers=1, unknown=0)
            for moment in np.arange(june, july + 1, times.HOUR).tolist()
        ],
    )
    done = run("drift", "--ledger", path, NOW)
    assert done.status == 0
    assert done.out.startswith(f"{CPU}: Over 30 days the reported use is 1.25 times the computed")
    assert ["2026-06-15", "240.0", "192.0", "1.25"] in [line.split() for line in done.out.splitlines()]
    found = json.loads(run("drift", "--ledger", path, NOW, "--json").out)[CPU]
    assert found["ratio"] == pytest.approx(1.25)
    assert found["days"][0]["day"] == "2026-06-01"
    assert f"Reported and computed use: {found['sentence']}" in run("report", "--ledger", path, NOW).out

    early = json.loads(run("drift", "--ledger", path, "--now=2026-06-11", "--json").out)[CPU]
    assert len(early["days"]) == 10


def test_drift_without_samples_says_where_they_come_from(path: Path, run: Run) -> None:
    done = run("drift", "--ledger", path, NOW)
    assert (done.status, done.out) == (1, "")
    assert (
        f"no samples of the computed burn in {path.with_name('usage.computed.csv')}; each `record`"
        in done.err
    )


def test_rates_are_shown_with_their_source(run: Run) -> None:
    done = run("rates")
    assert ["m3.medium", "8"] in [line.split() for line in done.out.splitlines()]
    assert ["SHUTOFF", "0.5"] in [line.split() for line in done.out.splitlines()]
    found = json.loads(run("rates", "--json").out)
    assert found["su_per_hour"]["m3.quad"] == 4
    assert found["state_factors"]["SHELVED_OFFLOADED"] == 0
    assert found["source"] in done.out


def test_import_and_export_go_round(path: Path, tmp_path: Path, run: Run) -> None:
    exported = run("export", "--ledger", path)
    copy = tmp_path / "copy.csv"
    copy.write_text(exported.out)
    fresh = tmp_path / "fresh.csv"
    assert run("import", copy, "--ledger", fresh).out == "90 rows added, 0 were there already\n"
    again = run("import", copy, "--ledger", fresh, "--json")
    assert json.loads(again.out) == {"added": 0, "known": 90, "unreadable": 0, "moved": 0}
    assert list(ledger.read(fresh).every_row()) == list(ledger.read(path).every_row())
    assert len(json.loads(run("export", "--ledger", path, "--format", "json").out)) == 90


def test_a_ledger_of_a_clock_ahead_is_exported_and_imported(tmp_path: Path, run: Run) -> None:
    ahead = tmp_path / "ahead.csv"
    row = "4102444800.0,jetstream2.indiana.xsede.org,10.0,100.0,2099-07-01,2100-06-30\n"
    ahead.write_text(f"{ledger.HEADER}\n{row}")
    late = "2100-01-01T01:00Z"
    assert run("export", "--ledger", ahead).out == f"{ledger.HEADER}\n"
    assert row.strip() in run("export", "--ledger", ahead, "--now", late).out
    done = run("import", ahead, "--ledger", tmp_path / "fresh.csv", "--now", late)
    assert done.out == "1 rows added, 0 were there already\n"


def test_import_tells_what_it_left_out(path: Path, tmp_path: Path, run: Run) -> None:
    with path.open("a") as file:
        file.write("rubbish\n")
    done = run("import", path, "--ledger", tmp_path / "fresh.csv")
    assert done.status == 0
    assert f"{path}: bad lines, left out: 1; the first: line 92" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"],
        ["report", "--ledger", "x", "--now", "yesterday"],
        ["report", "--ledger", "x", "--now", "9999-12-31T23:59-14:00"],
        ["report", "--ledger", "x", "--now", "0001-01-01T00:00+14:00"],
        ["report", "--ledger", "x", "--model", "magic"],
        ["report", "--ledger", "x", "--plot", "x.pdf"],
        ["simulate", "--ledger", "x", "--pool", "low"],
        ["simulate", "--ledger", "x", "--class", "fall"],
        ["export", "--ledger", "x", "--format", "xml"],
        ["forecast"],
    ],
)
def test_wrong_usage_exits_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["report", "export", "backtest"])
@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\xfe", b"<html>", b"a,b\n1,2\n"])
def test_a_file_that_is_no_ledger_is_told_in_one_line(
    tmp_path: Path, run: Run, command: str, content: bytes | None
) -> None:
    path = tmp_path / "usage.csv"
    if content is not None:
        path.write_bytes(content)
    done = run(command, "--ledger", path)
    if content == b"" and command == "export":
        assert (done.status, done.out) == (0, ledger.HEADER + "\n")  # a ledger that was only begun
        return
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(path) in done.err


def test_a_ledger_that_is_a_directory_is_told(tmp_path: Path, run: Run) -> None:
    done = run("report", "--ledger", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "cannot be read: Is a directory" in done.err


def test_a_plan_that_is_none_is_told(path: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "plan.yaml").write_text("stages: [{since: 2026-01-01, polls: {}}]")
    done = run("report", "--ledger", path, "--plan", tmp_path / "plan.yaml", NOW)
    assert done.status == 1
    assert "stages.0.polls" in done.err


@pytest.mark.parametrize(
    "command", ["record", "report", "simulate", "backtest", "rates", "drift", "import", "export"]
)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert f"python -m allocation {command}" in " ".join(done.out.replace("│", " ").split())
    assert "Example" in done.out


def test_piped_output_is_plain_and_not_cut(path: Path) -> None:
    done = process("report", "--ledger", path, NOW)
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    header = next(line for line in done.out.splitlines() if line.startswith("model"))
    assert header.rstrip().endswith("nodes to add (+) or remove (-)")
    assert "…" not in done.out


def test_on_a_terminal_the_verdict_has_its_colour(path: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "allocation", "report", "--ledger", str(path), NOW]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    running = subprocess.Popen(
        command, cwd=PROGRAM, stdout=follower, stderr=follower, env={**environment, "TERM": "xterm"}
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert running.wait(timeout=60) == 0
    assert b"\x1b[1;32mLasts to 2026-12-31" in shown


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["pandas", "statsmodels", "scipy", "matplotlib", "keystoneauth1", "requests"]
    code = f"import sys, allocation.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROGRAM, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_missing_package_is_told(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no', name='typer')")
    done = subprocess.run(
        [sys.executable, "-m", "allocation"],
        cwd=PROGRAM,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The Python package typer is missing: run `make .venv`")
