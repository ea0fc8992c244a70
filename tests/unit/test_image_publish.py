"""A published image gets into the settings, and nothing else changes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_image import publish
from jupyter_image.publish import Published, PublishError
from stacks import settings_parsing
from tests.unit.settings_files import PROGRAM, configuration

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
IMAGE = Published(name="ghcr.io/owner/science-gateway/gateway", tag="20261123-abc1234-7", digest=DIGEST)
STACKS = sorted(PROGRAM.glob("Pulumi.*.yaml"))


def image_of(text: str) -> Any:
    return yaml.safe_load(text)["config"]["gateway:hub"]["image"]


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_one_line_of_a_stacks_settings_changes(stack: Path) -> None:
    before = stack.read_text()
    after = publish.with_image(before, IMAGE, stack.name)
    assert image_of(after) == {"name": IMAGE.name, "tag": IMAGE.tag, "digest": DIGEST}
    assert len(changed_lines(before, after)) == 2
    rest = yaml.safe_load(after)
    del rest["config"]["gateway:hub"]["image"]
    expected = yaml.safe_load(before)
    del expected["config"]["gateway:hub"]["image"]
    assert rest == expected


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_the_program_accepts_the_settings(stack: Path, tmp_path: Path) -> None:
    changed = tmp_path / stack.name
    changed.write_text(publish.with_image(stack.read_text(), IMAGE, stack.name))
    config, secret = configuration(changed)
    # Production's secrets are the operator's own.
    config.setdefault("gateway:secrets", '{"github_client_secret": "of-the-operator"}')
    secret.add("gateway:secrets")
    settings = settings_parsing.parse(config, secret)
    assert settings.hub.image.digest == DIGEST
    assert settings.hub.image.name == IMAGE.name


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_the_next_image_takes_the_place_of_the_last(stack: Path) -> None:
    first = publish.with_image(stack.read_text(), IMAGE, stack.name)
    newer = Published(name=IMAGE.name, tag="20261201-def5678-8", digest=f"sha256:{'f' * 64}")
    second = publish.with_image(first, newer, stack.name)
    assert image_of(second) == {"name": newer.name, "tag": newer.tag, "digest": newer.digest}
    assert publish.with_image(second, IMAGE, stack.name) == first


BLOCK = """\
config: # above
  gateway:hub:
    image:
      # who made it
      name: nsflrose/gateway # kept
      tag: 20250811
      # after
    host: a.example
"""


def test_a_block_keeps_its_comments() -> None:
    after = publish.with_image(BLOCK, IMAGE, "a.yaml")
    assert image_of(after) == {"name": IMAGE.name, "tag": IMAGE.tag, "digest": DIGEST}
    assert [
        comment for comment in ("# above", "# who made it", "# kept", "# after") if comment not in after
    ] == []
    assert yaml.safe_load(after)["config"]["gateway:hub"]["host"] == "a.example"


def test_a_tag_of_digits_stays_a_text() -> None:
    digits = Published(name=IMAGE.name, tag="20261123", digest=DIGEST)
    assert image_of(publish.with_image(BLOCK, digits, "a.yaml"))["tag"] == "20261123"


@pytest.mark.parametrize(
    "text", ["config: {}", "config: {gateway:hub: {}}", "config: {gateway:hub: {image: some/name}}", ""]
)
def test_settings_without_an_image_are_refused(text: str) -> None:
    with pytest.raises(PublishError, match="image"):
        publish.with_image(text, IMAGE, "a.yaml")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("digest", "sha256:12"),
        ("digest", ""),
        ("name", "Ghcr.io/Owner/name"),
        ("name", "name:tag"),
        ("tag", ""),
        ("tag", 'a"b'),
    ],
)
def test_what_is_no_image_is_refused(field: str, wrong: str) -> None:
    parts = {"name": IMAGE.name, "tag": IMAGE.tag, "digest": IMAGE.digest, field: wrong}
    with pytest.raises(PublishError, match=f"--{field}"):
        Published(**parts)


def test_all_files_change_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "Pulumi.good.yaml", tmp_path / "Pulumi.bad.yaml"
    good.write_text(BLOCK)
    bad.write_text("config: {}\n")
    arguments = ["--name", IMAGE.name, "--tag", IMAGE.tag, "--digest", DIGEST]
    assert publish.main([*arguments, str(good), str(bad)]) == 1
    assert "Pulumi.bad.yaml" in capsys.readouterr().err
    assert good.read_text() == BLOCK
    assert publish.main([*arguments, str(good)]) == 0
    assert image_of(good.read_text())["digest"] == DIGEST
