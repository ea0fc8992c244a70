"""Good settings are read, bad ones refused with the key's path, the value and the cure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from stacks.problems import SettingsError
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.settings_files import BAD, GOOD, PROGRAM, configuration


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.stem)
def test_good_settings_are_read(path: Path) -> None:
    config, secret = configuration(path)
    assert parse(config, secret).name == "science"


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_bad_settings_are_refused(path: Path) -> None:
    expected = re.findall(r"^# (\S+) \| (.+)$", path.read_text(), re.MULTILINE)
    assert expected, f"{path.name} does not say what is expected of it"
    with pytest.raises(SettingsError) as refusal:
        parse(*configuration(path))
    lines = str(refusal.value).splitlines()
    for key, fragment in expected:
        assert any(key == _key(line) and fragment in line for line in lines), (key, fragment, lines)
    assert {_key(line) for line in lines} == {key for key, _ in expected}, "all, and no others"
    assert "Traceback" not in str(refusal.value)
    assert "not-a-real" not in str(refusal.value), "a secret's value is never shown"


def test_dev_is_good() -> None:
    settings = parse(*configuration(PROGRAM / "Pulumi.dev.yaml"))
    assert (settings.cloud.name, settings.production) == ("lab", False)


def test_prod_wants_nothing_but_its_secret() -> None:
    config, secret = configuration(PROGRAM / "Pulumi.prod.yaml")
    with pytest.raises(SettingsError) as refusal:
        parse(config, secret)
    assert [problem.path for problem in refusal.value.problems] == ["gateway:secrets.github_client_secret"]


def test_secrets_are_not_shown_by_the_model() -> None:
    settings = parse(*configuration(GOOD / "github_production.yaml"))
    assert settings.secrets.github_client_secret is not None
    assert "not-a-real-secret" not in repr(settings)
    assert "not-a-real-secret" not in settings.model_dump_json()


def test_settings_cannot_be_changed() -> None:
    settings = parse(*configuration(GOOD / "smallest.yaml"))
    with pytest.raises(ValueError, match="frozen"):
        settings.pools["low"].max = 9


def test_every_setting_is_documented() -> None:
    text = (PROGRAM / "docs" / "settings.md").read_text()
    sections = [
        section for section in re.split(r"^## ", text, flags=re.MULTILINE) if section.startswith("`gateway:")
    ]
    told = {re.findall(r"`gateway:(\w+)", section)[0]: section for section in sections}
    for name, field in Settings.model_fields.items():
        assert name in told, f"gateway:{name} is not in docs/settings.md"
        for inner in _fields(field.annotation):
            assert f"`{inner}`" in told[name], f"gateway:{name}: {inner} is not in docs/settings.md"


def _key(line: str) -> str:
    return line.partition(": ")[0].partition(" = ")[0]


def _fields(annotation: object) -> set[str]:
    names: set[str] = set()
    for model in (annotation, *get_args(annotation)):
        if hasattr(model, "model_fields"):
            for name, field in model.model_fields.items():
                names |= {name} | _fields(field.annotation)
    return names
