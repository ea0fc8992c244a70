"""The chart's values: valid for the real chart, the same at every rendering, and never larger than a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.hub_values import merged
from components.hub_values.placement import NODE_GROUP_LABEL
from components.jupyterhub import chart_values
from stacks.flavors import for_users
from stacks.hub_args import hub_args, profiles
from stacks.settings import Settings
from stacks.settings_parsing import parse
from tests.unit.settings_files import GOOD, PROGRAM, configuration

SCHEMA = PROGRAM.parent / "shared" / "reference" / "z2jh-values.schema.json"
KEYS = {"cookie_secret": "c0", "proxy_token": "70", "crypt_key": "6b"}
FILES = [PROGRAM / "Pulumi.dev.yaml", *sorted(GOOD.glob("*.yaml"))]


def settings_of(path: Path) -> Settings:
    return parse(*configuration(path))


def values_of(settings: Settings) -> dict[str, Any]:
    """The chart's values, with plain texts for secrets."""
    args = hub_args(
        settings,
        storage_class="gateway",
        after=[],
        shared_homes_source={"nfs": {"server": "172.24.0.11", "path": "/"}},
        shared_drive_source={"nfs": {"server": "172.24.0.12", "path": "/"}},
        hide=lambda _: "a-secret",
    )
    return chart_values(args, KEYS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_real_chart_accepts_them(path: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    errors = validator.iter_errors(values_of(settings_of(path)))
    # What the schema requires and we leave out comes from the chart's own defaults.
    wrong = [f"{error.json_path}: {error.message}" for error in errors if error.validator != "required"]
    assert wrong == []


def test_the_schema_tells_a_wrong_value() -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert [error for error in validator.iter_errors({"hub": {"bogus": 1}}) if error.validator != "required"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_two_renderings_are_the_same(path: Path) -> None:
    first, second = (json.dumps(values_of(settings_of(path))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_profile_is_larger_than_its_node(path: Path) -> None:
    settings = settings_of(path)
    for profile in profiles(settings):
        shape = settings.shape(settings.pools[profile.pool].flavor)
        assert shape is not None
        assert profile.memory_mib <= for_users(shape).memory_mib
        assert profile.cpus <= profile.cpu_limit <= for_users(shape).cpus


def test_profiles_choose_their_pool_by_the_label_that_nodes_have() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    chosen = {
        choice["slug"]: choice["kubespawner_override"]["node_selector"]
        for choice in values["singleuser"]["profileList"]
    }
    assert chosen == {"low-power": {NODE_GROUP_LABEL: "low"}, "high-power": {NODE_GROUP_LABEL: "high"}}


def test_overrides_are_traits_of_kubespawner() -> None:
    """The chart passes them on unread: a name that KubeSpawner does not know would do nothing, silently."""
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    for choice in values["singleuser"]["profileList"]:
        assert set(choice) == {"slug", "display_name", "description", "default", "kubespawner_override"}
        assert set(choice["kubespawner_override"]) == {
            "mem_guarantee",
            "mem_limit",
            "cpu_guarantee",
            "cpu_limit",
            "node_selector",
        }


def test_core_pods_run_on_the_core_node() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    core = {NODE_GROUP_LABEL: "default-worker"}
    assert values["hub"]["nodeSelector"] == core
    assert values["proxy"]["chp"]["nodeSelector"] == core
    assert values["scheduling"]["userScheduler"]["nodeSelector"] == core
    assert values["prePuller"]["hook"]["nodeSelector"] == core


def test_users_pods_and_image_pullers_run_on_every_pool_but_the_core() -> None:
    values = values_of(settings_of(PROGRAM / "Pulumi.dev.yaml"))
    (term,) = values["singleuser"]["extraNodeAffinity"]["required"]
    assert term["matchExpressions"] == [
        {"key": NODE_GROUP_LABEL, "operator": "Exists"},
        {"key": NODE_GROUP_LABEL, "operator": "NotIn", "values": ["default-worker"]},
    ]
    assert "nodeSelector" not in values["singleuser"]


def test_one_more_pool_does_not_touch_the_hub() -> None:
    settings = settings_of(PROGRAM / "Pulumi.dev.yaml")
    more = settings.model_copy(update={"pools": {**settings.pools, "more": settings.pools["low"]}})
    assert values_of(more) == values_of(settings)


def test_no_second_load_balancer() -> None:
    assert values_of(settings_of(FILES[0]))["proxy"]["service"]["type"] == "ClusterIP"


def test_anyone_may_log_in_at_a_workshop_only() -> None:
    workshop = values_of(settings_of(GOOD / "public_workshop.yaml"))["hub"]["config"]
    assert workshop["JupyterHub"] == {"authenticator_class": "dummy"}
    assert workshop["DummyAuthenticator"] == {"password": "a-secret"}
    github = values_of(settings_of(GOOD / "github_production.yaml"))["hub"]["config"]
    assert github["JupyterHub"] == {"authenticator_class": "github"}
    assert (
        github["GitHubOAuthenticator"]["oauth_callback_url"]
        == "https://gateway.example.org/hub/oauth_callback"
    )
    assert "allow_all" not in github["Authenticator"]
    assert "DummyAuthenticator" not in github


def test_a_value_set_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"hub\.db\.type is set twice"):
        merged({"hub": {"db": {"type": "a"}}}, {"hub": {"db": {"type": "b"}}})


def test_merging_leaves_its_parts_alone() -> None:
    part = {"hub": {"config": {"a": 1}}}
    merged(part, {"hub": {"config": {"b": 2}}})
    assert part == {"hub": {"config": {"a": 1}}}
