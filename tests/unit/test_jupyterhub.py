"""The hub: keys that stay until they are to change, secrets that stay secret, an order of upgrades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi_command import local

from components.jupyterhub import JupyterHub
from stacks.hub_args import hub_args
from tests.unit.recording import Run, run
from tests.unit.settings_files import GOOD
from tests.unit.test_hub_values import settings_of

NFS = {"nfs": {"server": "172.24.0.11", "path": "/"}}


def made(path: Path) -> Run:
    def program() -> None:
        first = local.Command("copy-before", create="true")
        args = hub_args(
            settings_of(path),
            namespace="jhub",
            storage_class="gateway",
            shared_homes_source=NFS,
            shared_drive_source=NFS,
            before_release=[first],
        )
        JupyterHub("hub", args)

    return run(program)


def test_keys_are_made_once() -> None:
    assert "triggers" not in made(GOOD / "smallest.yaml").one("hub-keys").inputs


def test_nothing_but_a_generation_makes_other_keys() -> None:
    """The command runs again for any change of what it is given, and each run's keys log everybody out."""
    keys = made(GOOD / "new_keys.yaml").one("hub-keys")
    given = {name for name in keys.inputs if not name.startswith("__")}
    assert {"create", "logging", "triggers"} <= given
    kept = set(keys.request.ignoreChanges)
    assert given - {"triggers"} <= kept
    assert {"environment", "interpreter", "dir", "stdin"} <= kept
    assert "triggers" not in kept


def test_another_generation_makes_other_keys() -> None:
    assert made(GOOD / "new_keys.yaml").one("hub-keys").inputs["triggers"] == [3]


def test_no_upgrade_before_what_must_precede_it() -> None:
    assert "copy-before" in made(GOOD / "smallest.yaml").one("hub-release").depends_on


@pytest.mark.parametrize(
    "name", ["everything", "cilogon", "image_of_a_private_registry", "public_workshop", "github_production"]
)
def test_secrets_of_the_settings_are_secrets_in_the_values(name: str) -> None:
    recorded = made(GOOD / f"{name}.yaml")
    values = recorded.one("hub-release").inputs["values"]
    assert "not-a-real" in str(values)
    assert "not-a-real" not in str(_without_secrets(values))
    assert "not-a-real" not in str(recorded.one("hub").inputs), "a component's inputs are shown as they are"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {} if set(value) == {"secret"} else {k: _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
