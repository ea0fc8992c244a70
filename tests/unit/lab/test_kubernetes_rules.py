"""What the lab's Magnum driver accepts: Jetstream2's rules."""

from __future__ import annotations

import datetime
import importlib
import sys

import pytest

from lab import paths

# The module runs inside Magnum, which finds it by PYTHONPATH.
sys.path.insert(0, str(paths.PROGRAM / "lab" / "openstack" / "inside"))
rules = importlib.import_module("lab_inside.cluster_rules")


@pytest.mark.parametrize(
    ("name", "label"), [("low", "low"), ("user-m3.large", "user-m3-large"), ("a-1", "a-1")]
)
def test_a_group_names_its_nodes_with_dashes_for_dots(name: str, label: str) -> None:
    assert rules.node_group_label(name) == label


@pytest.mark.parametrize("name", ["", "a", "ab-", "1low", "Low", "low_power", "low power"])
def test_names_that_nodes_cannot_bear(name: str) -> None:
    with pytest.raises(rules.RuleError, match="does not match"):
        rules.node_group_label(name)


def test_flavors_below_kubeadms_needs_are_refused() -> None:
    rules.check_flavor("m3.small", 2, 6144)
    with pytest.raises(rules.RuleError, match="enough CPU"):
        rules.check_flavor("m3.tiny", 1, 3072)
    with pytest.raises(rules.RuleError, match="enough RAM"):
        rules.check_flavor("thin", 4, 1024)


@pytest.mark.parametrize(
    ("fields", "labels", "expected"),
    [
        # A user group's own fields count, labels do not.
        (
            {"count": 1, "minimum": 1, "maximum": 8, "is_default_worker": False},
            {"max_node_count": "3"},
            (1, 8),
        ),
        ({"count": 2, "minimum": None, "maximum": None, "is_default_worker": False}, {}, (2, 2)),
        # For default-worker it is the other way round.
        (
            {"count": 1, "minimum": 1, "maximum": 8, "is_default_worker": True},
            {"max_node_count": "3"},
            (1, 3),
        ),
        ({"count": 3, "minimum": 1, "maximum": None, "is_default_worker": True}, {}, (3, 3)),
        (
            {"count": 3, "minimum": 1, "maximum": None, "is_default_worker": True},
            {"min_node_count": "2", "max_node_count": "5"},
            (2, 5),
        ),
        (
            {"count": 1, "minimum": 1, "maximum": 4, "is_default_worker": True},
            {"max_node_count": "many"},
            (1, 4),
        ),
    ],
)
def test_bounds(fields: dict[str, object], labels: dict[str, str], expected: tuple[int, int]) -> None:
    assert rules.bounds(**fields, labels=labels) == expected


@pytest.mark.parametrize(
    ("count", "minimum", "maximum", "reason"),
    [
        (1, 0, 4, "greater than or equal to 1"),
        (1, 2, 4, "less than or equal to current node count"),
        (3, 3, 2, "greater than or equal to min node count"),
    ],
)
def test_impossible_bounds(count: int, minimum: int, maximum: int, reason: str) -> None:
    with pytest.raises(rules.RuleError, match=reason):
        rules.bounds(count=count, minimum=minimum, maximum=maximum, is_default_worker=False, labels={})


def test_labels_of_the_cluster_win_over_the_templates() -> None:
    labels = rules.merged_labels(
        {"auto_scaling_enabled": "false", "kube_tag": "v1"}, {"auto_scaling_enabled": "True"}
    )
    assert rules.is_on(labels, "auto_scaling_enabled", False)
    assert not rules.is_on(rules.merged_labels(None, None), "auto_scaling_enabled", False)
    assert rules.is_on({}, "auto_healing_enabled", True)


@pytest.mark.parametrize(
    ("status", "ready", "failed", "expected"),
    [
        ("CREATE_IN_PROGRESS", True, False, "CREATE_COMPLETE"),
        ("UPDATE_IN_PROGRESS", False, False, "UPDATE_IN_PROGRESS"),
        ("UPDATE_IN_PROGRESS", False, True, "UPDATE_FAILED"),
        ("CREATE_FAILED", True, False, "CREATE_FAILED"),
        ("CREATE_COMPLETE", False, True, "CREATE_COMPLETE"),
    ],
)
def test_only_what_is_in_progress_settles(status: str, ready: bool, failed: bool, expected: str) -> None:
    assert rules.settled(status, ready=ready, failed=failed) == expected


def test_create_timeout_is_in_minutes_and_zero_is_none() -> None:
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert rules.is_late(began, 60, began + datetime.timedelta(minutes=61))
    assert not rules.is_late(began, 60, began + datetime.timedelta(minutes=59))
    assert not rules.is_late(began, 0, began + datetime.timedelta(days=1))
    assert not rules.is_late(began, None, began + datetime.timedelta(days=1))
