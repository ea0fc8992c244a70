"""The autoscaler's decisions, and the scheduler's rules they rest on."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kubernetes import autoscaler, quantities, scheduling
from lab.kubernetes.autoscaler import Candidate, Group
from lab.kubernetes.scheduling import Place, Pod

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
LABEL = "capi.stackhpc.com/node-group"


def group(name: str, cpu: str = "8", *, size: int = 1, low: int = 1, high: int = 4, **more: Any) -> Group:
    return Group(
        uuid=name,
        name=name,
        size=size,
        minimum=low,
        maximum=high,
        registered=more.pop("registered", size),
        labels={LABEL: name},
        taints=more.pop("taints", []),
        allocatable=quantities.parse_all({"cpu": cpu, "memory": "28Gi", "pods": "110"}),
    )


def pod(name: str, cpu: str = "1", *, node: str = "", waited: float | None = 60, **spec: Any) -> Pod:
    status: dict[str, Any] = {"phase": "Running" if node else "Pending"}
    if not node and waited is not None:
        since = (NOW - datetime.timedelta(seconds=waited)).isoformat()
        condition = {"type": "PodScheduled", "reason": "Unschedulable", "lastTransitionTime": since}
        status["conditions"] = [condition]
    metadata: dict[str, Any] = {"name": name, "namespace": "hub", "uid": name}
    metadata.update(spec.pop("metadata", {}))
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    full = {"containers": [container], "nodeName": node, **spec}
    return scheduling.read_pod({"metadata": metadata, "spec": full, "status": status})


def place(name: str, cpu: str, *pods: Pod, labels: dict[str, str] | None = None) -> Place:
    there = Place(
        name=name, labels=labels or {}, taints=[], free=quantities.parse_all({"cpu": cpu, "pods": "110"})
    )
    for one in pods:
        there.add(one)
    return there


def up(groups: list[Group], pods: list[Pod], places: list[Place] | None = None, delay: float = 2) -> Any:
    return autoscaler.scale_up(groups, places or [], pods, now=NOW, delay=delay)


def sizes(answer: autoscaler.ScaleUp) -> dict[str, int]:
    return {growth.group.name: growth.size for growth in answer.growths}


def test_several_nodes_at_once_by_packing_the_pods() -> None:
    pods = [pod(f"p{number}", "3") for number in range(5)]
    assert sizes(up([group("high")], pods)) == {"high": 4}
    assert sizes(up([group("high")], pods[:4])) == {"high": 3}


def test_the_group_that_wastes_least_grows() -> None:
    assert sizes(up([group("high", "8"), group("low", "4")], [pod("p", "3")])) == {"low": 2}
    assert sizes(up([group("high", "8"), group("low", "4")], [pod("p", "7")])) == {"high": 2}


def test_pods_choose_their_group_by_selector_and_affinity() -> None:
    wants = {LABEL: "high"}
    term = {"matchExpressions": [{"key": LABEL, "operator": "In", "values": ["low"]}]}
    affinity = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    }
    pods = [pod("a", nodeSelector=wants), pod("b", affinity=affinity)]
    assert sizes(up([group("high"), group("low")], pods)) == {"high": 2, "low": 2}


def test_a_pod_that_fits_an_existing_or_a_coming_node_waits_for_it() -> None:
    assert not up([group("high")], [pod("p", "2")], [place("n", "8", pod("x", "6", node="n"))]).growths
    assert up([group("high")], [pod("p", "3")], [place("n", "8", pod("x", "6", node="n"))]).growths
    coming = group("high", size=2, registered=1)
    assert not up([coming], [pod("p", "3")]).growths


def test_nobody_grows_before_the_delay_or_for_pods_the_scheduler_has_not_seen() -> None:
    assert not up([group("high")], [pod("p", waited=1)], delay=2).growths
    assert not up([group("high")], [pod("p", waited=None)]).growths


@pytest.mark.parametrize(("priority", "grows"), [(0, True), (-10, True), (-11, False)])
def test_expendable_pods_never_grow_a_group(priority: int, grows: bool) -> None:
    answer = up([group("high")], [pod("p", priority=priority)])
    assert bool(answer.growths) is grows
    assert not answer.hopeless


def test_the_bound_and_other_groups_are_told_in_the_cluster_autoscalers_words() -> None:
    groups = [group("high", size=4), group("low"), group("mid")]
    ((_, reasons),) = up(groups, [pod("p", nodeSelector={LABEL: "high"})]).hopeless
    assert reasons == ("1 max node group size reached, 2 node(s) didn't match Pod's node affinity/selector")


def test_too_large_a_pod_and_a_taint_are_told() -> None:
    taint = {"key": "hub.jupyter.org/dedicated", "value": "user", "effect": "NoSchedule"}
    groups = [group("high"), group("low", "64", taints=[taint])]
    ((_, reasons),) = up(groups, [pod("p", "9")]).hopeless
    assert reasons == (
        "1 Insufficient cpu, 1 node(s) had untolerated taint {hub.jupyter.org/dedicated: user}"
    )
    toleration = {"key": "hub.jupyter.org/dedicated", "operator": "Equal", "value": "user"}
    assert sizes(up(groups, [pod("p", "9", tolerations=[toleration])])) == {"low": 2}


def test_pods_that_repel_each_other_get_a_node_each() -> None:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    pods = [pod(f"p{n}", affinity=affinity, metadata={"labels": {"app": "x"}}) for n in range(3)]
    assert sizes(up([group("high")], pods)) == {"high": 4}


def test_a_preempting_pod_counts_where_it_was_promised() -> None:
    item = pod("p", "8").source
    item["status"]["nominatedNodeName"] = "n"
    assert not up([group("high")], [scheduling.read_pod(item)]).growths


@given(st.lists(st.sampled_from(["1", "2500m", "4", "8", "9"]), max_size=30), st.integers(1, 6))
def test_growth_stays_within_the_maximum_and_helps_every_pod_it_names(cpus: list[str], high: int) -> None:
    pods = [pod(f"p{number}", cpu) for number, cpu in enumerate(cpus)]
    answer = up([group("high", high=high)], pods)
    for growth in answer.growths:
        assert 1 < growth.size <= high
        used = sum(one.requests["cpu"] for one in growth.pods)
        assert used <= 8 * (growth.size - 1)
        assert len(growth.pods) >= growth.size - 1
    named = [one.uid for growth in answer.growths for one in growth.pods]
    named += [one.uid for one, _ in answer.hopeless]
    assert sorted(named) == sorted(one.uid for one in pods)


def down(
    groups: list[Group],
    nodes: list[Candidate],
    pods: list[Pod],
    since: dict[str, datetime.datetime],
    seconds: float,
) -> Any:
    later = NOW + datetime.timedelta(seconds=seconds)
    return autoscaler.scale_down(groups, nodes, pods, since, now=later, delay=15)


def test_a_node_goes_when_it_has_been_empty_for_the_delay_and_never_below_the_minimum() -> None:
    nodes = [Candidate(name=f"n{n}", group="high", is_kept=False) for n in range(3)]
    groups = [group("high", size=3)]
    daemon = pod("d", node="n0", metadata={"ownerReferences": [{"kind": "DaemonSet"}]})
    pods = [daemon, pod("user", node="n1")]
    going, since = down(groups, nodes, pods, {}, 0)
    assert not going and set(since) == {"n0", "n2"}
    going, since = down(groups, nodes, pods, since, 14)
    assert not going
    going, _ = down(groups, nodes, pods, since, 16)
    assert [one.name for one in going] == ["n0", "n2"]
    going, _ = down([group("high", size=3, low=2)], nodes, pods, since, 16)
    assert len(going) == 1


def test_a_node_that_was_used_meanwhile_starts_anew() -> None:
    nodes = [Candidate(name="n", group="high", is_kept=False)]
    groups = [group("high", size=2)]
    _, since = down(groups, nodes, [], {}, 0)
    _, since = down(groups, nodes, [pod("user", node="n")], since, 10)
    going, since = down(groups, nodes, [], since, 16)
    assert not going and since["n"] == NOW + datetime.timedelta(seconds=16)


def test_a_node_that_is_to_be_kept_stays() -> None:
    nodes = [Candidate(name="n", group="high", is_kept=True)]
    going, _ = down([group("high", size=2)], nodes, [], {"n": NOW}, 100)
    assert not going


def test_requests_are_what_the_scheduler_counts() -> None:
    spec = {
        "containers": [
            {"resources": {"requests": {"cpu": "500m"}}},
            {"resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}},
        ],
        "initContainers": [
            {"resources": {"requests": {"cpu": "2"}}},
            {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        ],
        "overhead": {"cpu": "10m"},
    }
    item = {"metadata": {"name": "p", "namespace": "hub", "uid": "p"}, "spec": spec}
    requests = scheduling.read_pod(item).requests
    assert requests == quantities.parse_all({"cpu": "2010m", "memory": "1Gi", "pods": 1})
