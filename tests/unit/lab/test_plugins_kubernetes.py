"""The Kubernetes plugin's own decisions, without a cluster."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.plugins.kubernetes import drift, naming, release_options, settings
from lab.plugins.kubernetes.chart import object_names, read
from lab.plugins.kubernetes.kubeconfig import access
from lab.plugins.kubernetes.readiness import HopelessError, pod_trouble, unready
from lab.plugins.kubernetes.replacement import forced
from lab.plugins.kubernetes.settings import Settings
from lab.plugins.kubernetes.waiting import pods_text, seconds
from lab.plugins.provider import PluginError
from lab.plugins.values import UNKNOWN, Asset, Secret


def kubeconfig(server: str = "https://127.0.0.1:6443", **user: Any) -> str:
    """The text of a kubeconfig with two contexts."""
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [
                {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "here"}},
                {"name": "two", "context": {"cluster": "c", "user": "u"}},
            ],
            "current-context": "one",
        }
    )


# Kubeconfigs and the provider's settings


def test_a_kubeconfig_is_taken_by_text_or_path(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(kubeconfig())
    assert access(kubeconfig()) == access(str(file))
    assert access(kubeconfig()).namespace == "here"
    assert access(kubeconfig(), context="two").namespace == ""


@pytest.mark.parametrize(
    ("text", "context", "problem"),
    [
        ("/nowhere/kubeconfig", None, "No kubeconfig at /nowhere/kubeconfig"),
        ("a: b: c", None, "is not YAML"),
        ("a: b\n", None, "holds no clusters"),
        (kubeconfig(), "three", "no context 'three'; it has: one, two"),
        (kubeconfig(server=""), None, "has no `server`"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(text: str, context: str | None, problem: str) -> None:
    with pytest.raises(PluginError, match=re.escape(problem)):
        access(text, context)


def test_an_unreadable_kubeconfig_is_not_quoted() -> None:
    with pytest.raises(PluginError) as error:
        access("token: hunter2\n\tclient-key-data: hunter2")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"kubeconfg": "x"}, "'kubeconfg' is no setting"),
        ({"deleteUnreachable": "maybe"}, "must be true or false, not 'maybe'"),
        ({"enableServerSideApply": "false"}, "always uses server-side apply"),
        ({"renderYamlToDirectory": "out"}, "is not offered"),
        ({"kubeconfig": "a: b"}, "holds no clusters"),
        ({"kubeconfig": Secret(kubeconfig()), "context": "three"}, "no context 'three'"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, Any], problem: str) -> None:
    assert problem in "; ".join(found.reason for found in settings.problems(given))


def test_right_settings_are_not_refused() -> None:
    given = {
        "kubeconfig": kubeconfig(),
        "enableServerSideApply": "true",
        "helmReleaseSettings": '{"driver": "secret"}',
        "kubeClientSettings": '{"qps": 50}',
        "suppressHelmHookWarnings": "true",
        "clusterIdentifier": UNKNOWN,
        "deleteUnreachable": UNKNOWN,
    }
    assert settings.problems(given) == []
    assert settings.parse(given).helm == {"HELM_DRIVER": "secret"}


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"kubeconfig": kubeconfig()}, {"kubeconfig": kubeconfig(token="new")}, False),
        ({"kubeconfig": kubeconfig()}, {"kubeconfig": kubeconfig("https://elsewhere")}, True),
        ({"kubeconfig": kubeconfig()}, {"kubeconfig": UNKNOWN}, True),
        (
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig()},
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig("https://elsewhere")},
            False,
        ),
        (
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig()},
            {"clusterIdentifier": "a", "kubeconfig": UNKNOWN},
            False,
        ),
        (
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig()},
            {"clusterIdentifier": "b", "kubeconfig": kubeconfig()},
            True,
        ),
        ({"namespace": "a"}, {"namespace": "b"}, False),
    ],
)
def test_what_makes_it_another_cluster(old: dict[str, Any], new: dict[str, Any], replaces: bool) -> None:
    found = settings.difference(old, new)
    assert (bool(found.changes), bool(found.replaces)) == (True, replaces)


# Names


def test_made_up_names_are_the_same_for_the_same_seed() -> None:
    assert naming.made_up("web", b"seed") == naming.made_up("web", b"seed")
    assert naming.made_up("web", b"seed") != naming.made_up("web", b"other")
    assert naming.made_up("web", b"") != naming.made_up("web", b"")


def test_a_name_that_the_program_gives_is_kept() -> None:
    item = {"metadata": {"name": "given"}}
    assert naming.named(item, {}, "web", b"seed") == item
    assert naming.named({"metadata": UNKNOWN}, {}, "web", b"") == {"metadata": UNKNOWN}
    unknown = {"metadata": {"name": UNKNOWN}}
    assert naming.named(unknown, {}, "web", b"") == unknown


def test_a_made_up_name_is_kept_but_not_one_that_was_given() -> None:
    first = naming.named({}, {}, "web", b"one")
    assert naming.named({}, first, "web", b"two") == first
    given = {"metadata": {"name": "given"}}
    assert naming.is_autonamed(naming.named({}, given, "web", b"two"))


def test_secret_metadata_stay_secret() -> None:
    item = naming.named({"metadata": Secret({"labels": {"a": "b"}})}, {}, "web", b"seed")
    assert isinstance(item["metadata"], Secret)
    assert naming.is_autonamed(item)


# Replacement


def test_data_of_config_maps_and_secrets_is_fixed_unless_they_are_mutable() -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert "data" in forced(config_map, Settings())
    assert "data" not in forced(config_map, Settings(config_map_mutable=True))
    assert "data" in forced({**config_map, "immutable": True}, Settings(config_map_mutable=True))
    secret = {"apiVersion": "v1", "kind": "Secret"}
    assert "stringData" in forced(secret, Settings())
    assert "stringData" not in forced(secret, Settings(secret_mutable=True))


# Drift


def test_what_the_server_only_rewrites_is_no_drift() -> None:
    declared = {"cpu": "1000m", "list": ["a"], "map": {"x": 1}}
    live = {"cpu": "1", "list": ["a", "theirs"], "map": {"x": 1, "y": 2}, "more": True}
    assert drift.in_force(declared, live, live) == declared


def test_what_others_changed_is_drift() -> None:
    declared = {"cpu": "1000m", "replicas": 1, "gone": "x"}
    applied = {"cpu": "1", "replicas": 1, "gone": "x", "other": 1}
    live = {"cpu": "1", "replicas": 5, "other": 2}
    assert drift.in_force(declared, applied, live) == {"cpu": "1000m", "replicas": 5}


def test_changed_data_of_a_secret_is_drift_of_its_string_data() -> None:
    declared = {"kind": "Secret", "stringData": {"a": "one"}}
    applied = drift.with_string_data({"kind": "Secret", "data": {"a": "b25l"}}, declared)
    live = drift.with_string_data({"kind": "Secret", "data": {"a": "dHdv"}}, declared)
    assert drift.in_force(declared, applied, applied) == declared
    assert drift.in_force(declared, applied, live)["stringData"] == {"a": "two"}


# Readiness


def workload(
    kind: str, spec: dict[str, Any], status: dict[str, Any], group: str = "apps/v1"
) -> dict[str, Any]:
    """An object of a kind with metadata of its first generation."""
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "x", "generation": 2},
        "spec": spec,
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (workload("Deployment", {}, {"observedGeneration": 1}), "has not seen it"),
        (
            workload("Deployment", {"replicas": 2}, {"updatedReplicas": 1}),
            "1 of 2 pods are of the new version",
        ),
        (workload("Deployment", {}, {"updatedReplicas": 1, "replicas": 2}), "old version"),
        (workload("Deployment", {}, {"updatedReplicas": 1, "replicas": 1}), "0 of 1 pods are ready"),
        (workload("Deployment", {"replicas": 0}, {}), None),
        (
            workload("StatefulSet", {}, {"readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            "old version",
        ),
        (workload("StatefulSet", {}, {"readyReplicas": 1}), None),
        (workload("DaemonSet", {}, {"desiredNumberScheduled": 3, "updatedNumberScheduled": 2}), "2 of 3"),
        (
            workload(
                "DaemonSet",
                {},
                {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1},
            ),
            None,
        ),
        (workload("Job", {}, {}, "batch/v1"), "has not completed"),
        (workload("Job", {"suspend": True}, {}, "batch/v1"), None),
        (workload("PersistentVolumeClaim", {}, {"phase": "Pending"}, "v1"), "the claim is Pending"),
        (workload("ConfigMap", {}, {}, "v1"), None),
        (workload("Deployment", {}, {}, "example.org/v1"), None),
    ],
)
def test_when_an_object_is_of_use(item: dict[str, Any], reason: str | None) -> None:
    found = unready(item)
    assert found == reason if reason is None else reason in str(found)


@pytest.mark.parametrize(
    "item",
    [
        workload(
            "Job", {}, {"conditions": [{"type": "Failed", "status": "True", "message": "m"}]}, "batch/v1"
        ),
        workload(
            "Deployment",
            {},
            {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "m"}]},
        ),
        workload("Pod", {}, {"phase": "Failed", "reason": "Evicted"}, "v1"),
    ],
)
def test_what_will_never_be_of_use_is_not_waited_for(item: dict[str, Any]) -> None:
    with pytest.raises(HopelessError):
        unready(item)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("condition=Ready", None),
        ("condition=Issued", "its condition Issued is not there"),
        ("condition=Ready=False", "all well"),
        ("jsonpath={.status.phase}=Bound", None),
        ("jsonpath={.status.phase}=Free", "status.phase is 'Bound'"),
        ("jsonpath={.status.items[1].name}", None),
        ('["condition=Ready", "jsonpath={.status.nothing}"]', "status.nothing is None"),
    ],
)
def test_the_program_can_say_when_an_object_is_of_use(annotation: str, reason: str | None) -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True", "message": "all well"}],
        "phase": "Bound",
        "items": [{"name": "a"}, {"name": "b"}],
    }
    item = workload("Widget", {}, status, "example.org/v1")
    item["metadata"]["annotations"] = {"pulumi.com/waitFor": annotation}
    found = unready(item)
    assert found == reason if reason is None else reason in str(found)


def test_a_wait_that_cannot_be_read_is_refused() -> None:
    item = workload("Widget", {}, {}, "example.org/v1")
    item["metadata"]["annotations"] = {"pulumi.com/waitFor": "Ready"}
    with pytest.raises(PluginError, match="must be condition=TYPE"):
        unready(item)


def test_troubles_of_pods_are_told_in_kubernetes_own_words() -> None:
    waiting = {
        "name": "main",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    }
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": [waiting]}}
    assert pod_trouble(pod) == "main: ImagePullBackOff no such image"
    assert pod_trouble({"status": {"phase": "Succeeded"}}) is None
    many = [{**pod, "metadata": {"name": f"p{number}"}} for number in range(7)]
    assert pods_text(many).splitlines()[-1] == "  and 2 more"


def test_how_long_to_wait() -> None:
    item = workload("Deployment", {}, {})
    assert seconds(item, 0) == 600
    item["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "7"}
    assert seconds(item, 0) == 7
    assert seconds(item, 3) == 3


# Helm releases


def test_hooks_are_switched_off_by_the_published_plugins_crossed_names() -> None:
    options = {"namespace": "n", "disableWebhooks": True}
    assert "--no-hooks" in release_options.install_flags(options)
    assert "--no-hooks" not in release_options.upgrade_flags(options)
    options = {"namespace": "n", "disableCRDHooks": True}
    assert "--no-hooks" not in release_options.install_flags(options)
    assert "--no-hooks" in release_options.upgrade_flags(options)


def test_atomic_waits_even_if_waiting_is_skipped() -> None:
    options = {"namespace": "n", "skipAwait": True, "waitForJobs": True}
    assert not {"--wait", "--wait-for-jobs"} & set(release_options.install_flags(options))
    flags = release_options.install_flags({**options, "atomic": True})
    assert {"--atomic", "--wait", "--wait-for-jobs"} <= set(flags)


def test_values_of_files_are_merged_in_order_below_those_of_the_program(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("a: {x: file, y: file}\nb: [1]\n")
    text = Asset(archive=False, text="a: {y: text}\nb: [2, 3]\n")
    options = {
        "valueYamlFiles": [Asset(archive=False, path=str(file)), text],
        "values": {"a": {"z": "program"}},
    }
    assert release_options.values(options) == {"a": {"x": "file", "y": "text", "z": "program"}, "b": [2, 3]}


@pytest.mark.parametrize("text", ["- a list", "password: hunter2: x"])
def test_values_that_are_no_mapping_are_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(PluginError) as error:
        release_options.values({"valueYamlFiles": [Asset(archive=False, text=text)]})
    assert "hunter2" not in str(error.value)


def test_credentials_for_a_repository_are_refused() -> None:
    found = release_options.problems({"repositoryOpts": {"repo": "https://example.org", "password": "x"}})
    assert [problem.property for problem in found] == ["repositoryOpts.password"]


def test_names_of_a_manifests_objects() -> None:
    manifest = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: b}\n---\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: n}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"
    )
    assert object_names(manifest) == {"Deployment.apps/apps/v1": ["d"], "Service/v1": ["b", "n/a"]}


@pytest.mark.parametrize(
    ("manifest", "where"),
    [
        ("kind: Secret\nstringData:\n  password: 'tell\n nobody", " in line 4"),
        ("kind: A\ndata: =\n", " in line 2"),
        ("kind: A\ndata: 2001-99-99\n", ""),
    ],
)
def test_a_chart_that_renders_no_yaml_is_a_sentence_without_its_text(manifest: str, where: str) -> None:
    with pytest.raises(PluginError) as refused:
        object_names(manifest)
    assert str(refused.value) == f"what the chart renders is no YAML{where} (`helm template` shows it)"


@pytest.mark.parametrize("content", [b"a: 2001-99-99", b"a: \xff", b"a: ["])
def test_a_file_of_values_that_is_no_yaml_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_bytes(content)
    with pytest.raises(PluginError, match=r"values\.yaml is not YAML"):
        release_options.values({"valueYamlFiles": [Asset(archive=False, path=str(tmp_path / "values.yaml"))]})


def test_an_archive_tells_its_own_version_not_a_dependencys(tmp_path: Path) -> None:
    for folder, version in (("parent/charts/child", "9.9.9"), ("parent", "1.2.3")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "Chart.yaml").write_text(f"name: x\nversion: {version}\n")
    archive = tmp_path / "parent.tgz"
    with tarfile.open(archive, "w:gz") as made:
        made.add(tmp_path / "parent" / "charts", "parent/charts")
        made.add(tmp_path / "parent" / "Chart.yaml", "parent/Chart.yaml")
    assert read(archive).version == "1.2.3"
