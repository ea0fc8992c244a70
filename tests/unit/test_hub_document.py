"""docs/hub.md: every setting of the hub is there, with the default that it really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from stacks.charts import Charts
from stacks.settings import Settings
from stacks.settings_cluster import Cluster
from tests.unit.settings_files import PROGRAM

TEXT = (PROGRAM / "docs" / "hub.md").read_text()
ROWS = {
    cells[0].strip("` "): cells[2].strip("` ")
    for line in TEXT.splitlines()
    if len(cells := line.strip("|").split("|")) == 4
}
ELSEWHERE = {"name", "production", "cloud", "network", "flavors", "charts", "budget"} | {
    f"cluster.{name}" for name in Cluster.model_fields if name != "core_flavor"
}
"""Not of the hub: docs/settings.md tells them, as its own test says."""


def defaults(model: type[BaseModel] = Settings, path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting of the hub with its default: ``[]`` is each of a list, ``<name>`` each of a mapping."""
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        if here in ELSEWHERE:
            continue
        inner, each = _inner(field.annotation)
        default = field.get_default(call_default_factory=True)
        # A section that is always there is told by its parts, and so is what a file begins with.
        if inner is None or (path and (each or default is None)):
            yield here, "–" if field.is_required() else _told(default)
        if inner is not None:
            yield from defaults(inner, f"{here}{each}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model that a field holds, and how one of several is written."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    each = {tuple: "[]", Mapping: ".<name>"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        model, _ = _inner(argument)
        if model is not None:
            return model, each
    return None, ""


def _told(default: object) -> str:
    """As it is written in YAML."""
    if default == "":
        return "empty"
    return default if isinstance(default, str) else json.dumps(default)


@pytest.mark.parametrize(("setting", "default"), list(defaults()))
def test_a_setting_is_told_with_its_default(setting: str, default: str) -> None:
    assert ROWS.get(setting) == default


def test_no_model_of_the_hub_escapes() -> None:
    told = dict(defaults())
    assert {
        "pools.<name>.max",
        "profiles[].users_per_node",
        "hub.start_commands[].must_succeed",
        "hub.registry.username",
        "authentication.cilogon.allowed_idps.<name>.username_claim",
        "secrets.workshop_password",
        "chart.version",
        "cluster.core_flavor",
    } <= set(told)
    assert told["storage.shared_drive"] == "null"
    assert "hub.image" not in told


def test_pinned_charts_are_told() -> None:
    pinned = {f"charts.{name}": str(getattr(Charts(), name).version) for name in Charts.model_fields}
    assert {name: ROWS.get(name) for name in pinned} == pinned
    settings = (PROGRAM / "docs" / "settings.md").read_text()
    for version in pinned.values():
        assert re.search(rf"\| {re.escape(version)} \|", settings)
