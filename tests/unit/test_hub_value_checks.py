"""What the chart's schema lets through and we do not."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from kubespawner import KubeSpawner  # type: ignore[import-untyped]

from components.hub_values.checks import TRAITS, WrongValuesError, checked
from tests.unit.settings_files import GOOD
from tests.unit.test_hub_values import SCHEMA, settings_of, values_of

PROFILE = "singleuser.profileList[0]"
OVERRIDE = f"{PROFILE}.kubespawner_override"

OPTION = f"{PROFILE}.profile_options.image"
CHOICE = f"{OPTION}.choices.new"

WRONG: list[tuple[str, Any, str]] = [
    (f"{PROFILE}.kubespawner_overide", {}, "is nothing that KubeSpawner reads"),
    (f"{OVERRIDE}.memory_limit", "4G", "is no setting of KubeSpawner"),
    (f"{OVERRIDE}.nodeSelector", {"pool": "low"}, "is no setting of KubeSpawner"),
    (f"{OVERRIDE}.mem_limit", "lots", "is no amount of memory"),
    (f"{OVERRIDE}.mem_limit", ["6G"], "is not of the kind ByteSpecification"),
    (f"{OVERRIDE}.mem_limit", "1G", "is less than what is promised"),
    (f"{OVERRIDE}.cpu_limit", "2", "is not of the kind Float"),
    (f"{OVERRIDE}.cpu_guarantee", True, "is not of the kind Float"),
    (f"{OVERRIDE}.cpu_limit", 0.1, "is less than what is promised"),
    (f"{OVERRIDE}.start_timeout", "600", "is not of the kind Int"),
    (f"{OVERRIDE}.image", 20250811, "is not of the kind Unicode"),
    (f"{OVERRIDE}.environment", ["A=b"], "is not of the kind Dict"),
    (f"{OVERRIDE}.privileged", "no", "is not of the kind Bool"),
    (f"{OVERRIDE}.node_selector", {"capi.stackhpc.com/node-group": 5}, "is no value of a label"),
    (f"{OVERRIDE}.node_selector", {"capi.stackhpc.com/node-group": "low power"}, "is no value of a label"),
    (f"{OVERRIDE}.node_selector", {"a/b/c": "low"}, "is no name of a label"),
    (f"{PROFILE}.slug", None, "is not a text"),
    (f"{PROFILE}.slug", "high-power", "is that of an earlier profile too"),
    (f"{PROFILE}.display_name", "", "is not a text"),
    (f"{PROFILE}.default", "yes", "is not true or false"),
    ("singleuser.profileList[1].default", True, "has 2 defaults"),
    (f"{PROFILE}", "low", "is no mapping"),
    (f"{OVERRIDE}", ["low"], "is no mapping"),
    (f"{PROFILE}.profile_options", ["image"], "is no mapping"),
    (f"{OPTION}", "new", "is no mapping"),
    (f"{OPTION}.choice", {}, "is nothing that KubeSpawner reads"),
    (f"{OPTION}.choices", ["new"], "is no mapping"),
    (f"{CHOICE}", "new", "is no mapping"),
    (f"{CHOICE}.kubespawner_overide", {}, "is nothing that KubeSpawner reads"),
    (f"{CHOICE}.kubespawner_override.memory_limit", "4G", "is no setting of KubeSpawner"),
    (f"{CHOICE}.kubespawner_override.mem_limit", "lots", "is no amount of memory"),
    (f"{CHOICE}.kubespawner_override.node_selector", {"a": 5}, "is no value of a label"),
    (f"{OPTION}.unlisted_choice.kubespawner_override.images", "{value}", "is no setting of KubeSpawner"),
    (f"{OPTION}.unlisted_choice.enable", True, "is nothing that KubeSpawner reads"),
    ("hub.nodeSelector", {"a": 5}, "is no value of a label"),
    ("proxy.chp.nodeSelector", "default-worker", "is no mapping of labels"),
    ("singleuser.memory.guarantee", "lots", "is no amount"),
    ("singleuser.cpu.limit", "2", "is no amount"),
    ("singleuser.extraEnv.DESKTOP", 1, "is not a text"),
]


def values() -> dict[str, Any]:
    return copy.deepcopy(values_of(settings_of(GOOD / "smallest.yaml")))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The values with one of them set."""
    tree = values()
    *way, last = path.replace("[", ".[").split(".")
    here: Any = tree
    for part in way:
        here = here[int(part[1:-1])] if part.startswith("[") else here.setdefault(part, {})
    here[int(last[1:-1]) if last.startswith("[") else last] = value
    return tree


@pytest.mark.parametrize(
    ("path", "value", "words"), WRONG, ids=[f"{path} {words}" for path, _, words in WRONG]
)
def test_a_wrong_value_is_refused_in_words(path: str, value: Any, words: str) -> None:
    with pytest.raises(WrongValuesError) as refusal:
        checked(changed(path, value))
    (line,) = str(refusal.value).splitlines()
    assert words in line
    assert line.startswith(("singleuser.", "hub.", "proxy."))


def test_the_chart_itself_would_take_most_of_them() -> None:
    if not SCHEMA.exists():
        pytest.skip(f"the chart's schema is not at {SCHEMA}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))

    def taken(path: str, value: Any) -> bool:
        errors = validator.iter_errors(changed(path, value))
        return not [error for error in errors if error.validator != "required"]

    passed = {path for path, value, _ in WRONG if taken(path, value)}
    assert {f"{PROFILE}.kubespawner_overide", f"{OVERRIDE}.mem_limit", "hub.nodeSelector"} <= passed
    assert len(passed) >= 15


def test_right_options_of_a_profile_are_taken() -> None:
    tree = values()
    tree["singleuser"]["profileList"][0]["profile_options"] = {
        "image": {
            "display_name": "Image",
            "choices": {
                "new": {"display_name": "New", "default": True, "kubespawner_override": {"image": "a:b"}}
            },
            "unlisted_choice": {
                "enabled": True,
                "display_name": "Other",
                "validation_regex": "^a:.+$",
                "kubespawner_override": {"image": "{value}", "cpu_limit": "{value}"},
            },
        }
    }
    assert checked(tree) is tree


def test_right_values_are_handed_on() -> None:
    right = values()
    assert checked(right) is right


def test_all_that_is_wrong_is_told_at_once() -> None:
    tree = changed(f"{OVERRIDE}.memory", "4G")
    tree["hub"]["nodeSelector"] = {"a": 5}
    with pytest.raises(WrongValuesError) as refusal:
        checked(tree)
    assert len(str(refusal.value).splitlines()) == 2


def test_the_list_of_traits_is_the_real_kubespawners() -> None:
    real = {name: type(trait).__name__ for name, trait in KubeSpawner.class_traits(config=True).items()}
    assert real == TRAITS
