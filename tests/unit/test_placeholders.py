"""Placeholders: one of a node's size for each pool, below users, and not below the autoscaler's cutoff."""

from __future__ import annotations

from typing import Any

import pytest

from components.hub_values.placement import NODE_GROUP_LABEL
from components.placeholders import Placeholders, PlaceholdersArgs, Room, requests
from tests.unit.recording import Run, run

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROOMS = {"low": Room(memory_mib=14108, cpus=3.6), "high": Room(memory_mib=28700, cpus=7.6)}


def placeholders(replicas: int) -> Run:
    args = PlaceholdersArgs(
        namespace="jhub", pools=ROOMS, replicas=replicas, scheduler="jupyterhub-user-scheduler"
    )

    def program() -> None:
        Placeholders("placeholders", args)

    return run(program)


@pytest.fixture(scope="module")
def warm() -> Run:
    return placeholders(2)


def pod_of(warm: Run, pool: str) -> Any:
    return warm.one(f"placeholders-{pool}").inputs["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [("low", {"cpu": "3600m", "memory": "14108Mi"}), ("high", {"cpu": "7600m", "memory": "28700Mi"})],
)
def test_each_pool_has_placeholders_of_its_nodes_size(warm: Run, pool: str, expected: dict[str, str]) -> None:
    pod = pod_of(warm, pool)
    assert warm.one(f"placeholders-{pool}").inputs["spec"]["replicas"] == 2
    assert pod["nodeSelector"] == {NODE_GROUP_LABEL: pool}
    assert pod["containers"][0]["resources"]["requests"] == expected


def test_they_are_below_users_and_not_below_the_autoscalers_cutoff(warm: Run) -> None:
    priority = warm.one("placeholders-priority").inputs
    assert -10 <= priority["value"] < -5 < 0
    assert priority["preemptionPolicy"] == "Never"
    assert priority.get("globalDefault") is not True
    for pool in ROOMS:
        assert pod_of(warm, pool)["priorityClassName"] == priority["metadata"]["name"]


def test_they_make_way_at_once_by_the_scheduler_that_places_users(warm: Run) -> None:
    for pool in ROOMS:
        assert pod_of(warm, pool)["terminationGracePeriodSeconds"] == 0
        assert pod_of(warm, pool)["schedulerName"] == "jupyterhub-user-scheduler"


def test_pulumi_does_not_wait_for_those_that_a_full_pool_lets_wait(warm: Run) -> None:
    for pool in ROOMS:
        annotations = warm.one(f"placeholders-{pool}").inputs["metadata"]["annotations"]
        assert annotations == {"pulumi.com/skipAwait": "true"}


def test_a_change_never_asks_for_twice_the_nodes(warm: Run) -> None:
    for deployment in warm.of_type(DEPLOYMENT):
        assert deployment.inputs["spec"]["strategy"] == {"type": "Recreate"}


def test_none_wanted_makes_nothing() -> None:
    assert [made.type for made in placeholders(0).registered] == ["sciencegateway:placeholders:Placeholders"]


def test_cpus_are_written_in_thousandths() -> None:
    assert requests(Room(memory_mib=1, cpus=0.1 + 0.2))["cpu"] == "300m"
