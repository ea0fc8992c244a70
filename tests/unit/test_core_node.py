"""The core node's keeper: what it changes of a node, and how it is installed."""

from __future__ import annotations

import ast
import sys
from typing import Any

import pulumi
import pytest

from components.core_node import CoreNode, CoreNodeArgs
from components.hub_values.placement import CORE_GROUP, CORE_TAINT, NODE_GROUP_LABEL
from operations import core_node
from operations.core_node import LABEL, TAINT, change, pause
from tests.unit.recording import Run, run
from tests.unit.settings_files import PROGRAM

SOURCE = PROGRAM / "operations" / "core_node.py"


def node(*, labels: dict[str, str] | None = None, taints: list[dict[str, str]] | None = None) -> Any:
    spec = {} if taints is None else {"taints": taints}
    return {"metadata": {"name": "core", "resourceVersion": "7", "labels": labels or {}}, "spec": spec}


def test_a_bare_node_gets_both_bound_to_the_version_that_was_read() -> None:
    assert change(node()) == {
        "metadata": {"resourceVersion": "7", "labels": {"hub.jupyter.org/node-purpose": "core"}},
        "spec": {"taints": [{"key": "hub.jupyter.org/dedicated", "value": "core", "effect": "NoSchedule"}]},
    }


def test_a_node_with_both_is_left_alone() -> None:
    others = [{"key": "example.org/other", "effect": "NoExecute", "timeAdded": "2025-01-01T00:00:00Z"}]
    assert change(node(labels={LABEL: "core", "a": "b"}, taints=[*others, dict(TAINT)])) is None


@pytest.mark.parametrize(
    "others",
    [
        [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}],
        [{"key": TAINT["key"], "value": "core", "effect": "NoExecute"}],
        [{"key": "a", "value": "core", "effect": "NoSchedule"}, {"key": "b", "effect": "PreferNoSchedule"}],
    ],
)
def test_the_taints_of_others_stay_in_their_order(others: list[dict[str, str]]) -> None:
    patch = change(node(taints=others))
    assert patch is not None
    assert patch["spec"]["taints"] == [*others, TAINT]


def test_a_missing_label_alone_changes_no_taint() -> None:
    taints = [{"key": "a", "effect": "NoExecute", "timeAdded": "2025-01-01T00:00:00Z"}, dict(TAINT)]
    patch = change(node(taints=taints))
    assert patch is not None
    assert patch["spec"]["taints"] == taints


@pytest.mark.parametrize("value", ["user", ""])
def test_another_value_of_the_same_taint_gives_way(value: str) -> None:
    wrong = {"key": TAINT["key"], "value": value, "effect": TAINT["effect"]}
    patch = change(node(labels={LABEL: "core"}, taints=[wrong]))
    assert patch is not None
    assert patch["spec"]["taints"] == [TAINT]


def test_the_pause_grows_with_the_failures_and_has_an_end() -> None:
    for failures, longest in ((1, 1.0), (4, 8.0), (7, 30.0), (10_000, 30.0)):
        assert longest / 2 <= pause(failures) <= longest


def test_the_program_needs_the_standard_library_only_and_is_one_file() -> None:
    for found in ast.walk(ast.parse(SOURCE.read_text())):
        names = (
            [alias.name for alias in found.names]
            if isinstance(found, ast.Import)
            else [found.module or "."]
            if isinstance(found, ast.ImportFrom)
            else []
        )
        for name in names:
            assert name.partition(".")[0] in sys.stdlib_module_names, name


def test_it_keeps_the_group_that_core_pods_are_sent_to() -> None:
    assert (core_node.GROUP_LABEL, core_node.GROUP) == (NODE_GROUP_LABEL, CORE_GROUP)


def test_the_taint_is_the_one_that_core_pods_tolerate() -> None:
    assert TAINT == CORE_TAINT


def test_outside_a_pod_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert core_node.main([]) == 1
    assert "KUBERNETES_SERVICE_HOST" in capsys.readouterr().out


def install(text: str) -> Run:
    def program() -> None:
        cluster = pulumi.ComponentResource("test:cluster:Cluster", "cluster")
        made = CoreNode("core-node", CoreNodeArgs(program=text, cluster=cluster))
        pulumi.export("ready", made.ready)

    return run(program)


@pytest.fixture(scope="module")
def installed() -> Run:
    return install("print()")


def pod_of(installed: Run) -> Any:
    return installed.one("core-node-deployment").inputs["spec"]["template"]["spec"]


def test_its_pod_runs_on_the_core_group_whatever_taints_are_there(installed: Run) -> None:
    pod = pod_of(installed)
    assert pod["nodeSelector"] == {NODE_GROUP_LABEL: CORE_GROUP}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-cluster-critical"


def test_its_pod_runs_the_given_text_as_nobody(installed: Run) -> None:
    pod = pod_of(installed)
    [container] = pod["containers"]
    folder = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}["program"]
    assert container["command"] == ["python3", f"{folder}/core_node.py"]
    assert installed.one("core-node-program").inputs["data"] == {"core_node.py": "print()"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    # The program understands what it is started with.
    core_node.arguments(container["args"])


def test_another_text_is_another_pod(installed: Run) -> None:
    def mounted(run: Run) -> str:
        name = str(pod_of(run)["volumes"][0]["configMap"]["name"])
        assert name == run.one("core-node-program").inputs["metadata"]["name"]
        return name

    assert mounted(installed) != mounted(install("print(1)"))
    assert mounted(installed) == mounted(install("print()"))


def test_a_moving_tag_never_decides_what_runs(installed: Run) -> None:
    name, _, tag = pod_of(installed)["containers"][0]["image"].partition(":")
    assert name == "python"
    assert [part.isdecimal() for part in tag.partition("-")[0].split(".")] == [True, True, True]


def test_it_may_do_nothing_but_look_at_nodes_and_change_them(installed: Run) -> None:
    assert installed.one("core-node-role").inputs["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "patch"]}
    ]


def test_it_starts_after_its_rights_are_there(installed: Run) -> None:
    assert "core-node-binding" in installed.one("core-node-deployment").depends_on
    assert installed.outputs["ready"] == "gateway-core-node"
