"""docs/allocation.md: what it shows is what the commands print, and what it has one copy works."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from allocation import cli, plan

PROGRAM = Path(__file__).resolve().parents[3]
TEXT = (PROGRAM / "docs" / "allocation.md").read_text()
COMMANDS = re.findall(r"^    python -m allocation ((?:report|simulate) .*--now .*)$", TEXT, re.MULTILINE)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(PROGRAM)
    with pytest.raises(SystemExit):
        cli.main(arguments)
    return capsys.readouterr().out


def without_the_picture(command: str) -> list[str]:
    arguments = shlex.split(command)
    if "--plot" in arguments:
        at = arguments.index("--plot")
        assert (PROGRAM / arguments[at + 1]).exists()
        del arguments[at : at + 2]
    return arguments


@pytest.mark.parametrize(("command", "shown"), list(zip(COMMANDS, blocks("text"), strict=True)))
def test_the_examples_print_what_is_shown(
    command: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = printed(without_the_picture(command), capsys, monkeypatch)
    hint = f"put the output of `python -m allocation {command}` into docs/allocation.md"
    # Another processor may round the last digit otherwise.
    for line, wanted in itertools.zip_longest(out.rstrip().splitlines(), shown.rstrip().splitlines()):
        assert line is not None, hint
        assert wanted is not None, hint
        assert NUMBER.sub("0", line).split() == NUMBER.sub("0", wanted).split(), hint
        assert numbers(line) == pytest.approx(numbers(wanted), rel=1e-3, abs=1), hint


def test_the_json_has_the_keys_that_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown,) = (json.loads(block) for block in blocks("json"))
    out = printed([*without_the_picture(COMMANDS[0]), "--json", "--model", "planned"], capsys, monkeypatch)
    found = json.loads(out)
    assert set(shown) == set(found)
    assert set(shown["models"]["planned"]) == set(found["models"]["planned"])


def test_the_example_is_what_its_rule_makes(tmp_path: Path) -> None:
    script = (PROGRAM / "docs" / "examples" / "make_usage.py").read_text()
    copy = tmp_path / "make_usage.py"
    exec(compile(script, copy, "exec"), {"__name__": "__main__", "__file__": str(copy)})  # noqa: S102
    assert (tmp_path / "usage.csv").read_bytes() == (PROGRAM / "docs" / "examples" / "usage.csv").read_bytes()


def test_every_key_of_a_plan_is_in_the_reference() -> None:
    keys = {
        *plan.Plan.model_fields,
        *(f"stages[].{key}" for key in plan.Stage.model_fields),
        *(f"calendar[].{key}" for key in plan.Period.model_fields if key != "last"),
    }
    rows = set(
        re.findall(r"^\| `([^`]+)`", TEXT[TEXT.index("## The plan") : TEXT.index("## Models")], re.MULTILINE)
    )
    assert rows == keys


def test_every_command_is_in_the_table() -> None:
    rows = re.findall(
        r"^\| ((?:`[a-z]+`(?:, )?)+) \|",
        TEXT[TEXT.index("## Commands") : TEXT.index("## The plan")],
        re.MULTILINE,
    )
    shown = {name for row in rows for name in re.findall(r"`([a-z]+)`", row)}
    commands = {command.name or "" for command in cli.app.registered_commands}
    commands |= {"simulate"}  # takes its function's name
    assert shown == commands - {""}


def test_the_workflow_and_the_crontab_run_commands_that_there_are() -> None:
    (workflow,) = (yaml.safe_load(block) for block in blocks("yaml"))
    steps = [step.get("run", "") for step in workflow["jobs"]["allocation"]["steps"]]
    (crontab,) = blocks("crontab")
    used = re.findall(r"python -m allocation (\w+) ([^|>\n]*)", "\n".join([*steps, crontab]))
    assert [name for name, _ in used] == ["record", "report", "record", "report"]
    known = set(re.findall(r'"(--[a-z]+)"', (PROGRAM / "allocation" / "options.py").read_text())) | {
        "--cloud"
    }
    assert {option for _, options in used for option in re.findall(r"--[a-z]+", options)} <= known


def test_the_workflow_keeps_every_file_that_is_written() -> None:
    (pattern,) = re.findall(r"git add (\S+)", TEXT)
    files = re.findall(r"^\| `([^`]+)`", TEXT[TEXT.index("## Files") :], re.MULTILINE)
    assert len(files) == 3
    assert [name for name in files if not fnmatch.fnmatch(name, pattern)] == []


def numbers(line: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(line)]
