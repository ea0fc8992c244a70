"""docs/hub.md: every setting of the hub is there, with the default that it really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from stacks.charts import Charts
from stacks.settings_access import Authentication, Dns, Tls
from stacks.settings_hub import Culling, Hub, Tutorials
from stacks.settings_storage import Backup, SharedDrive, Storage
from tests.unit.settings_files import PROGRAM

TEXT = (PROGRAM / "docs" / "hub.md").read_text()
ROWS = {
    cells[0].strip("` "): cells[2].strip("` ")
    for line in TEXT.splitlines()
    if len(cells := line.strip("|").split("|")) == 4
}
MODELS: dict[str, type[BaseModel]] = {
    "hub": Hub,
    "hub.tutorials": Tutorials,
    "authentication": Authentication,
    "culling": Culling,
    "storage": Storage,
    "storage.shared_drive": SharedDrive,
    "tls": Tls,
    "dns": Dns,
    "backup": Backup,
}


def defaults() -> Iterator[tuple[str, str]]:
    for section, model in MODELS.items():
        for name, field in model.model_fields.items():
            if name in ("image", "tutorials"):  # by their parts
                continue
            default = field.get_default(call_default_factory=True)
            yield f"{section}.{name}", "–" if field.is_required() else _told(default)


def _told(default: object) -> str:
    """As it is written in YAML."""
    return default if isinstance(default, str) else json.dumps(default)


@pytest.mark.parametrize(("setting", "default"), list(defaults()))
def test_a_setting_is_told_with_its_default(setting: str, default: str) -> None:
    assert ROWS.get(setting) == default


def test_pinned_charts_are_told() -> None:
    pinned = {f"charts.{name}": str(getattr(Charts(), name).version) for name in Charts.model_fields}
    assert {name: ROWS.get(name) for name in pinned} == pinned
    settings = (PROGRAM / "docs" / "settings.md").read_text()
    for version in pinned.values():
        assert re.search(rf"\| {re.escape(version)} \|", settings)
