"""The command that prints the chart's values: readable, without secrets, and with every error in words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stacks import values_command
from stacks.values_command import MASK, main
from tests.unit.settings_files import GOOD, PROGRAM

SECRET = "v1:bm9uY2U=:Y2lwaGVydGV4dA=="


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stacks of its own."""
    monkeypatch.setattr(values_command, "PROGRAM", tmp_path)
    text = (GOOD / "everything.yaml").read_text()
    (tmp_path / "Pulumi.all.yaml").write_text(
        text.replace("not-a-real-secret", SECRET).replace("not-a-real-one", SECRET)
    )
    shutil.copy(GOOD / "smallest.yaml", tmp_path / "Pulumi.small.yaml")
    return tmp_path


def test_it_prints_yaml_that_holds_no_secret(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all"]) == 0
    text = capsys.readouterr().out
    values = yaml.safe_load(text)
    assert values["hub"]["config"]["GitHubOAuthenticator"]["client_secret"] == MASK
    assert values["imagePullSecret"]["password"] == MASK
    assert values["hub"]["cookieSecret"] == values["proxy"]["secretToken"] == MASK
    assert values["hub"]["config"]["CryptKeeper"]["keys"] == [MASK]
    assert "v1:" not in text


def test_json_says_the_same(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["all"])
    as_yaml = yaml.safe_load(capsys.readouterr().out)
    main(["all", "--json"])
    assert json.loads(capsys.readouterr().out) == as_yaml


def test_it_prints_the_same_twice(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for _ in range(2):
        main(["all"])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_scripts_can_be_read(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["small"])
    assert "stringData: |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("absent", None, "Pulumi.absent.yaml is not in"),
        ("../small", None, "is no name of a stack"),
        ("broken", "config: [", "Pulumi.broken.yaml is not YAML"),
        ("empty", "", "has no mapping under config:"),
        ("wrong", "config: {gateway:name: Science}", "gateway:name = Science"),
    ],
)
def test_errors_are_told_in_words(
    stacks: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (stacks / f"Pulumi.{name}.yaml").write_text(text)
    assert main([name]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert "Traceback" not in printed.err
    if name == "absent":
        assert "there are the stacks all, small" in printed.err


def test_it_runs_as_a_command_without_engine_or_cloud() -> None:
    command = [sys.executable, "-m", "stacks.values_command"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(
        [*command, "dev"], cwd=PROGRAM, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["singleuser"]["defaultUrl"] == "/lab"
    told = subprocess.run(
        [*command, "--help"], cwd=PROGRAM, check=True, capture_output=True, text=True
    ).stdout
    assert "examples:" in told
