"""What the program relies on in the Kubernetes plugin: objects. (Helm releases have a file of their own.)"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes
import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from tests.lab.conformance.cluster import Cluster
from tests.lab.conformance.stacks import RunFailed, Stack

pytest_plugins = ["tests.lab.conformance.fixtures"]

pytestmark = pytest.mark.lab

# Its types allow a dictionary only if it is one of theirs.
kubernetes: Any = pulumi_kubernetes

Program = Callable[[], None]
Maker = Callable[[pulumi.ResourceOptions], object]


def program(cluster: Cluster, *makers: Maker, **settings: Any) -> Program:
    """A program whose resources all use one provider for the cluster."""

    def run() -> None:
        settings.setdefault("kubeconfig", cluster.kubeconfig)
        provider = kubernetes.Provider("cluster", **settings)
        for make in makers:
            make(pulumi.ResourceOptions(provider=provider))

    return run


def config_map(logical: str, data: dict[str, Any] | None = None, /, **metadata: Any) -> Maker:
    """Declares a ConfigMap; with no name in its metadata it gets a made-up one."""
    return lambda options: kubernetes.core.v1.ConfigMap(
        logical, metadata=metadata or None, data=data or {"key": "value"}, opts=options
    )


def deployment(
    name: str, *, cpu: str = "100m", annotations: dict[str, str] | None = None, **spec: Any
) -> Maker:
    """Declares a Deployment of one container."""
    labels = {"app": name}
    container = {"name": "main", "image": "image", "resources": {"requests": {"cpu": cpu}}}
    return lambda options: kubernetes.apps.v1.Deployment(
        name,
        metadata={"name": name, "annotations": annotations or {}},
        spec={
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
        opts=options,
    )


def in_state(stack: Stack, name: str) -> dict[str, Any]:
    """The name that a resource has in the cluster, and more."""
    outputs: dict[str, Any] = stack.resource(name)["outputs"]
    return outputs


# Names and namespaces


def test_an_object_without_a_name_gets_one_and_keeps_it(stack: Stack, cluster: Cluster) -> None:
    assert stack.up(program(cluster, config_map("settings"))).operations["settings"] == ["create"]
    metadata = in_state(stack, "settings")["metadata"]
    assert re.fullmatch(r"settings-[0-9a-f]{8}", metadata["name"])
    assert metadata["annotations"]["pulumi.com/autonamed"] == "true"
    assert metadata["namespace"] == "default"
    assert stack.resource("settings")["id"] == f"default/{metadata['name']}"

    assert stack.preview(program(cluster, config_map("settings"))).operations == {}
    relabelled = program(cluster, config_map("settings", labels={"new": "label"}))
    assert stack.up(relabelled).operations == {"settings": ["update"]}
    assert in_state(stack, "settings")["metadata"]["name"] == metadata["name"]


def test_the_providers_namespace_is_the_default_but_not_for_cluster_wide_kinds(
    stack: Stack, cluster: Cluster
) -> None:
    cluster.core.create_namespace({"metadata": {"name": "elsewhere"}})

    def role(options: pulumi.ResourceOptions) -> None:
        kubernetes.rbac.v1.ClusterRole("role", rules=[], opts=options)

    stack.up(program(cluster, config_map("settings"), role, namespace="elsewhere"))
    assert in_state(stack, "settings")["metadata"]["namespace"] == "elsewhere"
    assert "namespace" not in in_state(stack, "role")["metadata"]
    moved = stack.preview(program(cluster, config_map("settings"), role))
    assert moved.changes("settings") == {"metadata.namespace": "update-replace"}


# Changes


def test_objects_are_applied_server_side_and_others_keep_their_fields(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("shared", name="shared", labels={"ours": "1"})))
    managers = cluster.core.read_namespaced_config_map("shared", "default").metadata.managed_fields
    assert [(found.operation, found.manager.startswith("pulumi-kubernetes-")) for found in managers] == [
        ("Apply", True)
    ]
    cluster.core.patch_namespaced_config_map("shared", "default", {"metadata": {"labels": {"theirs": "1"}}})

    stack.up(program(cluster, config_map("shared", name="shared", labels={"ours": "2"})))
    labels = cluster.core.read_namespaced_config_map("shared", "default").metadata.labels
    assert labels == {"ours": "2", "theirs": "1"}

    stack.up(program(cluster, config_map("shared", name="shared", labels={})))
    assert cluster.core.read_namespaced_config_map("shared", "default").metadata.labels == {"theirs": "1"}


def test_changed_data_replaces_a_config_map_the_new_one_first(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("settings", {"key": "old"})))
    old = in_state(stack, "settings")["metadata"]["name"]
    changed = program(cluster, config_map("settings", {"key": "new"}))
    run = stack.up(changed)
    assert run.operations["settings"] == ["create-replacement", "replace", "delete-replaced"]
    assert run.changes("settings") == {"data.key": "update-replace"}
    assert in_state(stack, "settings")["metadata"]["name"] != old
    with pytest.raises(ApiException, match="404"):
        cluster.core.read_namespaced_config_map(old, "default")


def test_an_object_with_a_name_of_its_own_is_deleted_before_it_is_replaced(
    stack: Stack, cluster: Cluster
) -> None:
    stack.up(program(cluster, config_map("named", {"key": "old"}, name="named")))
    uid = cluster.core.read_namespaced_config_map("named", "default").metadata.uid
    run = stack.up(program(cluster, config_map("named", {"key": "new"}, name="named")))
    assert run.operations["named"] == ["delete-replaced", "replace", "create-replacement"]
    found = cluster.core.read_namespaced_config_map("named", "default")
    assert (found.data, found.metadata.uid != uid) == ({"key": "new"}, True)


def test_config_maps_can_be_made_mutable(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("settings", {"key": "old"}), enable_config_map_mutable=True))
    changed = program(cluster, config_map("settings", {"key": "new"}), enable_config_map_mutable=True)
    assert stack.preview(changed).operations == {"settings": ["update"]}


def test_an_immutable_field_replaces(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, deployment("immutable")))
    relabelled = deployment(
        "immutable",
        selector={"matchLabels": {"app": "other"}},
        template={
            "metadata": {"labels": {"app": "other"}},
            "spec": {"containers": [{"name": "main", "image": "image"}]},
        },
    )
    preview = stack.preview(program(cluster, relabelled))
    assert preview.operations["immutable"] == ["delete-replaced", "replace", "create-replacement"]


# What the server says


def test_a_preview_tells_what_the_server_would_refuse(stack: Stack, cluster: Cluster) -> None:
    wrong = deployment("wrong", replicas=-1)
    with pytest.raises(RunFailed, match=r"spec\.replicas.*must be greater than or equal to 0"):
        stack.preview(program(cluster, wrong))
    stack.up(program(cluster, deployment("wrong", replicas=0)))
    with pytest.raises(RunFailed, match=r"spec\.replicas.*must be greater than or equal to 0"):
        stack.preview(program(cluster, wrong))


def test_a_conflict_names_the_field_and_its_owner_and_can_be_forced(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, deployment("fought", replicas=1)))
    theirs = {"spec": {"replicas": 2}}
    cluster.apps.patch_namespaced_deployment("fought", "default", theirs, field_manager="autoscaler")

    with pytest.raises(RunFailed, match=r'conflict with "autoscaler"') as conflict:
        stack.up(program(cluster, deployment("fought", replicas=3)))
    assert ".spec.replicas" in str(conflict.value)
    assert cluster.apps.read_namespaced_deployment("fought", "default").spec.replicas == 2

    forced = deployment("fought", replicas=3, annotations={"pulumi.com/patchForce": "true"})
    stack.up(program(cluster, forced))
    assert cluster.apps.read_namespaced_deployment("fought", "default").spec.replicas == 3


def test_an_object_that_exists_already_is_not_taken_over(stack: Stack, cluster: Cluster) -> None:
    cluster.core.create_namespaced_config_map("default", {"metadata": {"name": "theirs"}, "data": {"a": "1"}})
    with pytest.raises(RunFailed, match=r"already exists|exists already"):
        stack.up(program(cluster, config_map("theirs", name="theirs")))
    assert cluster.core.read_namespaced_config_map("theirs", "default").data == {"a": "1"}


def test_an_object_that_exists_already_can_be_imported(stack: Stack, cluster: Cluster) -> None:
    body = {"metadata": {"name": "adopted", "labels": {"a": "b"}}, "data": {"key": "value"}}
    cluster.core.create_namespaced_config_map("default", body)

    def adopt(imported: str | None) -> Program:
        def make(options: pulumi.ResourceOptions) -> None:
            merged = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(import_=imported))
            kubernetes.core.v1.ConfigMap(
                "adopted",
                api_version="v1",
                kind="ConfigMap",
                metadata={"name": "adopted", "namespace": "default", "labels": {"a": "b"}},
                data={"key": "value"},
                opts=merged,
            )

        return program(cluster, make)

    assert stack.up(adopt("default/adopted")).operations["adopted"] == ["import"]
    assert stack.preview(adopt(None)).operations == {}


# Waiting


def test_a_deployment_is_waited_for(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, deployment("rollout", replicas=2)))
    assert in_state(stack, "rollout")["status"]["availableReplicas"] == 2
    stack.up(program(cluster, deployment("rollout", replicas=2, cpu="200m")))
    status = cluster.apps.read_namespaced_deployment("rollout", "default").status
    assert (status.available_replicas, status.updated_replicas) == (2, 2)


def test_what_does_not_become_ready_in_time_is_recorded_and_mended_by_the_next_update(
    stack: Stack, cluster: Cluster
) -> None:
    patient = {"pulumi.com/timeoutSeconds": "2"}
    with pytest.raises(RunFailed) as failure:
        stack.up(program(cluster, deployment("huge", cpu="1000", annotations=patient)))
    assert "Insufficient cpu" in str(failure.value)
    assert stack.resource("huge")["id"] == "default/huge"
    assert stack.resource("huge")["initErrors"]

    mended = program(cluster, deployment("huge", annotations=patient))
    assert stack.up(mended).operations == {"huge": ["update"]}
    assert not stack.resource("huge").get("initErrors")


def test_the_programs_timeout_counts_and_waiting_can_be_skipped(stack: Stack, cluster: Cluster) -> None:
    timeouts = pulumi.CustomTimeouts(create="2s")

    def impatient(options: pulumi.ResourceOptions) -> None:
        merged = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(custom_timeouts=timeouts))
        deployment("huge", cpu="1000")(merged)

    began = time.monotonic()
    with pytest.raises(RunFailed, match="Insufficient cpu"):
        stack.up(program(cluster, impatient))
    assert time.monotonic() - began < 30
    stack.up(program(cluster, deployment("huge", cpu="1000", annotations={"pulumi.com/skipAwait": "true"})))


def test_a_job_is_waited_for_until_it_has_completed(stack: Stack, cluster: Cluster) -> None:
    def job(options: pulumi.ResourceOptions) -> None:
        pod = {"containers": [{"name": "main", "image": "image"}], "restartPolicy": "Never"}
        kubernetes.batch.v1.Job("job", spec={"template": {"spec": pod}}, opts=options)

    stack.up(program(cluster, job))
    assert in_state(stack, "job")["status"]["succeeded"] == 1


def test_a_load_balancer_is_waited_for_until_it_has_an_address(stack: Stack, cluster: Cluster) -> None:
    def balancer(options: pulumi.ResourceOptions) -> None:
        service = kubernetes.core.v1.Service(
            "balancer",
            metadata={"name": "balancer"},
            spec={"type": "LoadBalancer", "ports": [{"port": 80}]},
            opts=options,
        )
        pulumi.export("address", service.status.load_balancer.ingress[0].ip)

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}

    def give_address() -> None:
        for _ in range(100):
            try:
                cluster.core.patch_namespaced_service_status("balancer", "default", address)
                return
            except ApiException:
                time.sleep(0.2)

    giver = threading.Thread(target=give_address)
    giver.start()
    assert stack.up(program(cluster, balancer)).outputs["address"] == "192.0.2.7"
    giver.join()


def test_a_claim_that_binds_at_first_use_is_not_waited_for(stack: Stack, cluster: Cluster) -> None:
    def claim(options: pulumi.ResourceOptions) -> None:
        storage = kubernetes.storage.v1.StorageClass(
            "late", provisioner="nobody", volume_binding_mode="WaitForFirstConsumer", opts=options
        )
        kubernetes.core.v1.PersistentVolumeClaim(
            "claim",
            spec={
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": storage.metadata.name,
            },
            opts=options,
        )

    began = time.monotonic()
    stack.up(program(cluster, claim))
    assert time.monotonic() - began < 30


def test_an_interrupt_ends_the_wait_and_the_object_is_recorded(stack: Stack, cluster: Cluster) -> None:
    def exists() -> bool:
        return any(
            found.metadata.name == "endless"
            for found in cluster.apps.list_namespaced_deployment("default").items
        )

    began = time.monotonic()
    stack.interrupted_up(program(cluster, deployment("endless", cpu="1000")), exists)
    assert time.monotonic() - began < 60
    assert stack.resource("endless")["id"] == "default/endless"
    stack.up(program(cluster, deployment("endless")))
    assert not stack.resource("endless").get("initErrors")


# Custom resources


def widget_definition(
    options: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Defines the kind Widget, and leaves it in the cluster: servers take half a minute to forget a kind."""
    kept = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(retain_on_delete=True))
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition: pulumi.Resource = kubernetes.apiextensions.v1.CustomResourceDefinition(
        "definition",
        metadata={"name": "widgets.conformance.test"},
        spec={
            "group": "conformance.test",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
        opts=kept,
    )
    return definition


def test_a_custom_resource_and_its_definition_come_in_one_update(stack: Stack, cluster: Cluster) -> None:
    def widget(size: int) -> Program:
        def make(options: pulumi.ResourceOptions) -> None:
            after = pulumi.ResourceOptions(depends_on=[widget_definition(options)])
            kubernetes.apiextensions.CustomResource(
                "widget",
                api_version="conformance.test/v1",
                kind="Widget",
                # In the foreground the server would first look through all kinds for what the widget owns.
                metadata={
                    "name": "widget",
                    "annotations": {"pulumi.com/deletionPropagationPolicy": "background"},
                },
                spec={"size": size},
                opts=pulumi.ResourceOptions.merge(options, after),
            )

        return program(cluster, make)

    assert stack.preview(widget(1)).operations["widget"] == ["create"]
    stack.up(widget(1))
    assert stack.up(widget(2)).operations == {"widget": ["update"]}
    found = cluster.objects.get_namespaced_custom_object(
        "conformance.test", "v1", "default", "widgets", "widget"
    )
    assert found["spec"]["size"] == 2


# Drift


def test_a_refresh_finds_what_others_changed_and_the_next_update_undoes_it(
    stack: Stack, cluster: Cluster
) -> None:
    forced = {"pulumi.com/patchForce": "true"}
    drifting = program(cluster, deployment("drifting", annotations=forced, replicas=1))
    stack.up(drifting)
    assert stack.refresh().changes("drifting") == {}
    assert stack.preview(drifting).operations == {}

    cluster.apps.patch_namespaced_deployment("drifting", "default", {"spec": {"replicas": 2}})
    stack.refresh()
    assert stack.preview(drifting).changes("drifting") == {"spec.replicas": "update"}
    stack.up(drifting)
    assert cluster.apps.read_namespaced_deployment("drifting", "default").spec.replicas == 1


def test_what_the_server_rewrites_is_no_drift(stack: Stack, cluster: Cluster, plugins: str) -> None:
    if plugins == "published":
        pytest.skip("docs/lab-plugins.md: here the lab's own plugin differs from the published one")
    # The server keeps 1000m as 1.
    rewritten = program(cluster, deployment("rewritten", cpu="1000m"))
    stack.up(rewritten)
    assert stack.refresh().changes("rewritten") == {}
    assert stack.preview(rewritten).operations == {}


def test_a_refresh_forgets_what_is_gone(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("gone", name="gone")))
    cluster.core.delete_namespaced_config_map("gone", "default")
    stack.refresh()
    assert stack.up(program(cluster, config_map("gone", name="gone"))).operations == {"gone": ["create"]}


# Deletion


def test_a_deletion_waits_for_finalizers(stack: Stack, cluster: Cluster) -> None:
    body = {"metadata": {"finalizers": ["conformance.test/held"]}}
    stack.up(program(cluster, config_map("held", name="held")))
    cluster.core.patch_namespaced_config_map("held", "default", body)

    def release() -> None:
        time.sleep(3)
        assert cluster.core.read_namespaced_config_map("held", "default").metadata.deletion_timestamp
        cluster.core.patch_namespaced_config_map("held", "default", {"metadata": {"finalizers": None}})

    releaser = threading.Thread(target=release)
    releaser.start()
    stack.up(program(cluster))
    with pytest.raises(ApiException, match="404"):
        cluster.core.read_namespaced_config_map("held", "default")
    releaser.join()


def test_a_deletion_that_takes_too_long_fails_and_keeps_the_object_in_the_state(
    stack: Stack, cluster: Cluster
) -> None:
    def stuck(options: pulumi.ResourceOptions) -> None:
        timeouts = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(delete="2s"))
        config_map("stuck", name="stuck", finalizers=["conformance.test/stuck"])(
            pulumi.ResourceOptions.merge(options, timeouts)
        )

    stack.up(program(cluster, stuck))
    with pytest.raises(RunFailed, match="stuck"):
        stack.empty()
    assert stack.resource("stuck")["id"] == "default/stuck"
    cluster.core.patch_namespaced_config_map("stuck", "default", {"metadata": {"finalizers": None}})


def test_an_object_that_is_gone_already_is_deleted_without_a_word(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("gone", name="gone")))
    cluster.core.delete_namespaced_config_map("gone", "default")
    assert stack.up(program(cluster)).operations == {"gone": ["delete"]}


# Secrets


def test_secrets_are_encrypted_in_the_state(stack: Stack, cluster: Cluster) -> None:
    def secrets(options: pulumi.ResourceOptions) -> None:
        kubernetes.core.v1.Secret("secret", string_data={"password": "pass-in-a-secret"}, opts=options)
        hidden = pulumi.Output.secret("pass-in-a-config-map")
        config_map("settings", {"open": "in-the-open", "hidden": hidden})(options)

    stack.up(program(cluster, secrets))
    name = in_state(stack, "secret")["metadata"]["name"]
    assert cluster.core.read_namespaced_secret(name, "default").data == {
        "password": "cGFzcy1pbi1hLXNlY3JldA=="
    }
    stack.refresh()
    state = stack.state_file.read_text()
    for secret in ("pass-in-a-secret", "cGFzcy1pbi1hLXNlY3JldA", "pass-in-a-config-map"):
        assert secret not in state
    assert "in-the-open" in state
    assert stack.preview(program(cluster, secrets)).operations == {}


# The provider


def renamed_user(cluster: Cluster) -> str:
    """A kubeconfig for the same cluster that is written otherwise."""
    config = yaml.safe_load(cluster.kubeconfig)
    config["users"][0]["name"] = config["contexts"][0]["context"]["user"] = "renamed"
    return json.dumps(config)


def moved_address(cluster: Cluster) -> str:
    """A kubeconfig for the same cluster by another address, as after an upgrade."""
    return cluster.kubeconfig.replace("https://127.0.0.1:", "https://localhost:")


def test_another_kubeconfig_of_the_same_cluster_replaces_nothing(stack: Stack, cluster: Cluster) -> None:
    stack.up(program(cluster, config_map("settings")))
    renamed = program(cluster, config_map("settings"), kubeconfig=renamed_user(cluster))
    assert stack.preview(renamed).operations == {"cluster": ["update"]}
    moved = program(cluster, config_map("settings"), kubeconfig=moved_address(cluster))
    assert "replace" in stack.preview(moved).operations["settings"]


def test_the_cluster_identifier_decides_whether_it_is_the_same_cluster(
    stack: Stack, cluster: Cluster
) -> None:
    stack.up(program(cluster, config_map("settings"), cluster_identifier="one"))
    moved = {"kubeconfig": moved_address(cluster)}
    same = program(cluster, config_map("settings"), cluster_identifier="one", **moved)
    assert stack.up(same).operations == {"cluster": ["update"]}
    other = program(cluster, config_map("settings"), cluster_identifier="two", **moved)
    assert "replace" in stack.preview(other).operations["settings"]


def test_a_cluster_that_does_not_exist_yet_can_be_previewed(stack: Stack, cluster: Cluster) -> None:
    import pulumi_command

    def late() -> None:
        # Known only once the command has run, like the kubeconfig of a cluster that is being made.
        made = pulumi_command.local.Command("cluster-maker", create="echo made")
        kubeconfig = made.stdout.apply(lambda _: cluster.kubeconfig)
        program(cluster, config_map("settings"), deployment("early"), kubeconfig=kubeconfig)()

    assert stack.preview(late).operations["early"] == ["create"]
    assert stack.up(late).operations["early"] == ["create"]


def test_a_cluster_that_does_not_answer_is_named(stack: Stack, cluster: Cluster) -> None:
    address = f"https://127.0.0.1:{cluster.control_plane.ports.apiserver}"
    nowhere = cluster.kubeconfig.replace(address, "https://127.0.0.1:1")
    lost = program(cluster, config_map("lost"), kubeconfig=nowhere)
    with pytest.raises(RunFailed, match="configured Kubernetes cluster is unreachable"):
        stack.up(lost)

    stack.up(program(cluster, config_map("lost"), cluster_identifier="one"))
    stack.up(program(cluster, config_map("lost"), cluster_identifier="one", kubeconfig=nowhere))
    with pytest.raises(RunFailed, match="PULUMI_K8S_DELETE_UNREACHABLE"):
        stack.empty()
    stack.up(
        program(
            cluster, config_map("lost"), cluster_identifier="one", kubeconfig=nowhere, delete_unreachable=True
        )
    )


def test_a_kubeconfig_that_cannot_be_read_is_refused(stack: Stack, cluster: Cluster) -> None:
    with pytest.raises(RunFailed, match="kubeconfig"):
        stack.up(program(cluster, config_map("settings"), kubeconfig="clusters: ["))
