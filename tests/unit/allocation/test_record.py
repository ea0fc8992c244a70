"""``record`` against a cloud on loopback: what is written, what is told, and what is never shown."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from allocation import cli, ledger, samples, times
from tests.unit.allocation.fake_cloud import (
    APPLICATION_SECRET,
    PASSWORD,
    TOKEN_MARK,
    Answer,
    FakeCloud,
    record,
)
from tests.unit.allocation.made_up import CPU

PROGRAM = Path(__file__).resolve().parents[3]
GPU = "jetstream2-gpu.indiana.xsede.org"
NOON = "2026-08-24T12:00Z"
SERVERS = [
    {"id": "a", "name": "core", "status": "ACTIVE", "flavor": {"original_name": "m3.quad", "vcpus": 4}},
    {"id": "b", "name": "low-1", "status": "SHUTOFF", "flavor": {"original_name": "m3.medium", "vcpus": 8}},
    {"id": "c", "name": "odd", "status": "ACTIVE", "flavor": {"original_name": "x9.odd", "vcpus": 8}},
]


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.csv"


@pytest.fixture
def run(cloud: FakeCloud, path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``record``. Nothing secret may be in what it prints or writes, whatever happens."""

    def run_command(*arguments: str) -> Done:
        try:
            cli.main(["record", "--ledger", str(path), *arguments])
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            done = Done(ended.code, *capsys.readouterr())
        written = "".join(file.read_text() for file in path.parent.glob("usage*"))
        for secret in (PASSWORD, APPLICATION_SECRET, TOKEN_MARK):
            assert secret not in done.out + done.err + written
        return done

    return run_command


@pytest.mark.parametrize("entry", ["gateway", "robot"])
def test_a_row_is_appended_and_nothing_is_said(cloud: FakeCloud, path: Path, run: Run, entry: str) -> None:
    assert run("--cloud", entry, "--now", NOON) == (0, "", "")
    with path.open() as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "timestamp": str(times.parse_time(NOON)),
        "resource": CPU,
        "service_units_used": "1234.5",
        "service_units_allocated": "100000.0",
        "start_date": "2026-01-01",
        "end_date": "2026-12-31",
    }


def test_a_cron_job_gets_no_mail_when_all_is_well(cloud: FakeCloud, path: Path) -> None:
    command = ["-m", "allocation", "record", "--ledger", str(path), "--cloud", "gateway", "--now", NOON]
    done = subprocess.run(
        [sys.executable, *command], cwd=PROGRAM, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ledger.read(path).rows == 1


def test_without_a_time_the_clock_is_taken(path: Path, run: Run) -> None:
    before = time.time()
    run("--cloud", "gateway")
    (row,) = ledger.read(path).every_row()
    assert before <= row.timestamp <= time.time()


def test_every_resource_has_its_row(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.says(record(), record(resource=GPU, service_units_used=7.0))
    assert run("--cloud", "gateway", "--now", NOON).status == 0
    assert {row.resource: row.used for row in ledger.read(path).every_row()} == {CPU: 1234.5, GPU: 7.0}


def test_the_computed_burn_is_sampled_beside_the_ledger(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.servers = SERVERS[:2]
    assert run("--cloud", "gateway", "--now", NOON) == (0, "", "")
    (sample,) = samples.read(path).rows
    assert (sample.resource, sample.timestamp) == (CPU, times.parse_time(NOON))
    assert (sample.su_per_hour, sample.servers, sample.unknown) == (4 + 8 * 0.5, 2, 0)


def test_a_server_without_a_rate_is_told_not_guessed(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.servers = SERVERS
    done = run("--cloud", "gateway", "--now", NOON)
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert "the burn of a server is not counted: odd (" in done.err
    (sample,) = samples.read(path).rows
    assert (sample.su_per_hour, sample.unknown) == (8, 1)


def test_a_server_s_rate_may_stand_in_the_plan(
    cloud: FakeCloud, path: Path, run: Run, tmp_path: Path
) -> None:
    cloud.servers = [
        {"id": "d", "name": "new", "status": "ACTIVE", "flavor": {"original_name": "m3.quad", "vcpus": 4}}
    ]
    (tmp_path / "plan.yaml").write_text("rates: {m3.quad: 5}")
    done = run("--cloud", "gateway", "--now", NOON, "--plan", str(tmp_path / "plan.yaml"))
    assert done == (0, "", "")
    (sample,) = samples.read(path).rows
    assert sample.su_per_hour == 5


def test_a_nova_that_fails_does_not_lose_the_reported_row(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.compute = [403]
    done = run("--cloud", "gateway", "--now", NOON)
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert "the burn of the servers is not recorded: Nova" in done.err
    assert ledger.read(path).rows == 1
    assert samples.read(path).rows == ()


def test_a_null_use_makes_no_row_and_is_told(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.says(record(), record(resource=GPU, service_units_used=None))
    done = run("--cloud", "gateway", "--now", NOON)
    assert done.status == 0
    assert f"{GPU}: no row, since its use is not known" in done.err
    assert [row.resource for row in ledger.read(path).every_row()] == [CPU]


def test_nothing_but_null_is_a_failure_and_writes_nothing(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.says(record(service_units_used=None))
    done = run("--cloud", "gateway", "--now", NOON)
    assert (done.status, done.out) == (1, "")
    assert f"{CPU}: no row" in done.err
    assert done.err.endswith("nothing was recorded\n")
    assert not path.exists()


def test_no_allocation_at_all_is_a_failure(cloud: FakeCloud, path: Path, run: Run) -> None:
    cloud.says()
    done = run("--cloud", "gateway", "--now", NOON)
    assert done.status == 1
    assert "knows of no allocation of this project" in done.err
    assert not path.exists()


def test_a_resource_whose_name_no_ledger_can_hold_costs_no_other_its_row(
    cloud: FakeCloud, path: Path, run: Run
) -> None:
    cloud.says(record(resource="two words, and a comma"), record())
    done = run("--cloud", "gateway", "--now", NOON)
    assert done.status == 0
    assert "two words, and a comma: no row, since the ledger cannot hold it" in done.err
    assert [row.resource for row in ledger.read(path).every_row()] == [CPU]


def test_an_allocation_that_is_over_is_recorded_and_told(cloud: FakeCloud, path: Path, run: Run) -> None:
    done = run("--cloud", "gateway", "--now", "2027-01-01")
    assert done.status == 0
    assert f"{CPU}: its allocation is of 2026-01-01 to 2026-12-31, which is not now" in done.err
    assert ledger.read(path, now=times.parse_time("2027-01-01")).rows == 1


def test_the_allocations_last_day_is_part_of_it(cloud: FakeCloud, run: Run) -> None:
    assert run("--cloud", "gateway", "--now", "2026-12-31T23:59Z") == (0, "", "")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=503),
        Answer(status=403),
        Answer(body=b"<html>"),
        Answer(body=b'[{"resource": "x"}]'),
        Answer(body=b"[null]"),
    ],
)
def test_a_failing_service_leaves_the_ledger_as_it_was(
    cloud: FakeCloud, path: Path, run: Run, answer: Answer
) -> None:
    run("--cloud", "gateway", "--now", NOON)
    before = path.read_bytes()
    cloud.accounting = [answer]
    done = run("--cloud", "gateway", "--now", NOON)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "Traceback" not in done.err
    assert path.read_bytes() == before


def test_a_torn_last_line_is_set_aside_and_told(cloud: FakeCloud, path: Path, run: Run) -> None:
    run("--cloud", "gateway", "--now", NOON)
    with path.open("a") as file:
        file.write("17876")
    done = run("--cloud", "gateway", "--now", "2026-08-25")
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert f"moved to {path}.bad: 1; the first: line 3" in done.err
    assert (ledger.read(path).rows, ledger.read(path).bad) == (2, ())


def test_what_is_set_aside_is_told_where_it_is_behind_a_link(
    cloud: FakeCloud, path: Path, run: Run, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere" / "real.csv"
    real.parent.mkdir()
    real.write_text(f"{ledger.HEADER}\nrubbish\n")
    path.symlink_to(real)
    done = run("--cloud", "gateway", "--now", NOON)
    assert f"moved to {real}.bad: 1" in done.err
    assert (real.parent / "real.csv.bad").read_text() == "rubbish\n"


def test_a_cloud_that_only_the_environment_names_is_not_asked(
    cloud: FakeCloud, path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLOUD", "gateway")
    done = run("--now", NOON)
    assert (done.status, done.out) == (1, "")
    assert "OS_CLOUD alone is not followed; give --cloud gateway" in done.err
    assert cloud.asked == []


def test_without_a_cloud_nobody_is_asked(cloud: FakeCloud, path: Path, run: Run) -> None:
    done = run("--now", NOON)
    assert (done.status, done.out) == (1, "")
    assert "no cloud is named; give --cloud" in done.err
    assert cloud.asked == []
    assert not path.exists()


def test_the_variables_name_a_cloud(
    cloud: FakeCloud, path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    for name, value in {
        "OS_AUTH_URL": f"{cloud.url}/v3",
        "OS_USERNAME": "operator",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "gateway",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }.items():
        monkeypatch.setenv(name, value)
    assert run("--now", NOON) == (0, "", "")
    assert ledger.read(path).rows == 1


def test_a_cloud_that_is_not_in_the_file_is_told(run: Run) -> None:
    done = run("--cloud", "elsewhere", "--now", NOON)
    assert done.status == 1
    assert "'elsewhere' of clouds.yaml cannot be used" in done.err
