"""The wiring that matters: orders, options, labels, secrets. What the engine makes of it is for tests/lab."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from allocation.ladder import Rung
from components.hub_values.placement import CORE_GROUP, CORE_TOLERATION, on_group
from components.network import ExistingNetwork
from stacks import gateway
from stacks.cloud_check import CloudFacts
from stacks.rungs import braked
from stacks.settings import Settings
from stacks.settings_parsing import parse
from stacks.storage_parts import kept_after_destroy
from tests.unit.recording import Run, run
from tests.unit.settings_files import GOOD, PROGRAM, configuration

GROUP = "openstack:containerinfra/nodeGroup:NodeGroup"
FACTS = CloudFacts(
    template_id="template-id",
    external_network_id="public-id",
    existing_network=None,
    dns_zone_id="zone-id",
)


def built(path: Path, facts: CloudFacts = FACTS) -> Run:
    return run_settings(parse(*configuration(path)), facts)


def run_settings(settings: Settings, facts: CloudFacts = FACTS) -> Run:
    return run(lambda: gateway.build(settings, facts, "test"))


@pytest.fixture(scope="module")
def dev() -> Run:
    return built(PROGRAM / "Pulumi.dev.yaml")


@pytest.fixture(scope="module")
def prod() -> Run:
    existing = ExistingNetwork(network_id="net-id", subnet_id="subnet-id")
    facts = CloudFacts(template_id="template-id", external_network_id="public-id", existing_network=existing)
    return built(GOOD / "github_production.yaml", facts)


def ignored(run: Run, name: str) -> set[str]:
    return set(run.one(name).request.ignoreChanges)


def text_of(value: Any) -> str:
    return str(value)


def test_groups_are_created_one_after_another(dev: Run) -> None:
    order = [group.name for group in dev.of_type(GROUP)]
    assert order == ["pools-high", "pools-low"]
    for index, name in enumerate(order):
        waits_for = [other for other in dev.one(name).depends_on if other.startswith("pools-")]
        assert waits_for == order[:index]


def test_the_order_of_groups_comes_from_no_input(dev: Run) -> None:
    """Else the engine would replace a group because the one before it is replaced."""
    for group in dev.of_type(GROUP):
        for inputs in group.request.propertyDependencies.values():
            assert not [urn for urn in inputs.urns if "nodeGroup" in urn]


def test_a_middle_pool_can_be_removed_alone() -> None:
    config, secret = configuration(GOOD / "smallest.yaml")
    pools = {"aa1": 1, "bb2": 2, "cc3": 3}
    settings = parse(config, secret)
    pool = settings.pools["low"]

    def groups(names: list[str]) -> dict[str, Any]:
        changed = settings.model_copy(update={"pools": {**settings.pools, **dict.fromkeys(names, pool)}})
        return {group.name: group.inputs for group in run_settings(changed).of_type(GROUP)}

    before, after = groups(list(pools)), groups(["aa1", "cc3"])
    assert before.pop("pools-bb2")
    assert before == after


def test_the_autoscaler_owns_node_counts(dev: Run) -> None:
    for group in dev.of_type(GROUP):
        assert ignored(dev, group.name) == {"nodeCount"}
        assert group.inputs["nodeCount"] == group.inputs["minNodeCount"]


def test_a_group_is_replaced_alone_and_goes_with_its_cluster(dev: Run) -> None:
    for group in dev.of_type(GROUP):
        assert group.request.deleteBeforeReplace
        assert group.request.deletedWith.endswith("::cluster-cluster")


def test_pools_are_declared_as_plain_inputs(dev: Run) -> None:
    assert dev.one("pools").inputs == {
        "pools": {
            "high": {"flavor": "m3.medium", "min": 1.0, "max": 2.0},
            "low": {"flavor": "m3.quad", "min": 1.0, "max": 4.0},
        }
    }


def test_the_core_group_never_scales(dev: Run) -> None:
    cluster = dev.one("cluster-cluster")
    labels = cluster.inputs["labels"]
    assert (labels["auto_scaling_enabled"], labels["min_node_count"], labels["max_node_count"]) == (
        "true",
        "1",
        "1",
    )
    assert cluster.inputs["nodeCount"] == 1
    assert cluster.inputs["mergeLabels"] is True
    assert ignored(dev, "cluster-cluster") == {"labels", "nodeCount", "createTimeout"}


def test_creation_may_take_four_hours(dev: Run) -> None:
    cluster = dev.one("cluster-cluster")
    assert cluster.inputs["createTimeout"] == 240
    assert cluster.request.customTimeouts.create == "240m"


def test_the_cluster_waits_for_the_way_out(dev: Run) -> None:
    assert "network-interface" in dev.one("cluster-cluster").depends_on


def test_only_production_is_protected(dev: Run, prod: Run) -> None:
    assert [resource.name for resource in dev.registered if resource.request.protect] == []
    assert {resource.name for resource in prod.registered if resource.request.protect} == {
        "address-floating-ip",
        "cluster-cluster",
        "hub-backup-claim",
        "hub-namespace",
    }


def test_an_existing_network_is_used_as_it_is(prod: Run) -> None:
    made = {resource.type for resource in prod.registered if "networking/" in resource.type}
    assert made == {"openstack:networking/floatingIp:FloatingIp"}
    cluster = prod.one("cluster-cluster")
    assert (cluster.inputs["fixedNetwork"], cluster.inputs["fixedSubnet"]) == ("net-id", "subnet-id")


def test_every_resource_names_its_provider(dev: Run) -> None:
    for resource in dev.registered:
        if resource.request.custom and not resource.type.startswith("pulumi:providers:"):
            assert resource.request.provider, f"{resource.name} would use a default provider"


def test_the_kubernetes_provider_is_bound_to_the_cluster_not_to_its_credentials(dev: Run) -> None:
    provider = dev.one("kubernetes")
    assert provider.inputs["clusterIdentifier"] == "cluster-cluster-id"
    assert provider.inputs["kubeconfig"] == {"secret": "raw-kubeconfig"}


def test_credentials_are_no_outputs(dev: Run, prod: Run) -> None:
    for each in (dev, prod):
        assert "raw-kubeconfig" not in text_of(each.outputs)
        assert "not-a-real-secret" not in text_of(each.outputs)
        assert set(each.outputs) == {
            "rung",
            "address",
            "cluster",
            "how_to_reach",
            "kept_after_destroy",
            "namespace",
            "pools",
        }


def test_destroy_removes_the_jobs_of_copies_before_the_hub(dev: Run) -> None:
    removal = dev.one("hub-removal-jobs")
    assert "hub-release" in removal.depends_on
    assert "remove-jobs" in removal.inputs["delete"]
    assert "raw-kubeconfig" not in removal.inputs["delete"]


def test_destroy_waits_for_volumes_before_the_cluster_goes(dev: Run) -> None:
    guard = dev.one("reclaim-wait")
    assert guard.inputs["environment"] == {"secret": {"KUBECONFIG_TEXT": "raw-kubeconfig"}} or guard.inputs[
        "environment"
    ] == {"KUBECONFIG_TEXT": {"secret": "raw-kubeconfig"}}
    assert "raw-kubeconfig" not in guard.inputs["delete"]
    assert {"storage-storage-class", "pools-low", "pools-high"} <= set(guard.depends_on)
    assert "reclaim-wait" in dev.one("hub-namespace").depends_on
    assert "hub-namespace" in dev.one("hub-release").depends_on


def test_what_owns_volumes_is_not_dropped_with_the_cluster(dev: Run) -> None:
    assert dev.one("storage-storage-class").request.deletedWith
    for name in ("hub-namespace", "hub-release", "reclaim-wait"):
        assert not dev.one(name).request.deletedWith


def test_the_release_is_patient_and_not_atomic(dev: Run) -> None:
    release = dev.one("hub-release").inputs
    assert release["timeout"] >= 1800
    assert not release.get("atomic")
    assert release["chart"] == "lab/charts/jupyterhub"


def test_the_charts_source_is_a_setting(prod: Run) -> None:
    release = prod.one("hub-release").inputs
    assert (release["chart"], release["version"]) == ("jupyterhub", "4.4.0")
    assert release["repositoryOpts"] == {"repo": "https://hub.jupyter.org/helm-chart/"}


def test_secrets_in_values_stay_secrets(prod: Run) -> None:
    values = prod.one("hub-release").inputs["values"]
    plain = text_of(_without_secrets(values))
    assert "not-a-real-secret" not in plain
    assert "'c'" not in plain
    assert "not-a-real-secret" in text_of(values)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {} if set(value) == {"secret"} else {k: _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def test_the_hubs_keys_are_secret_and_not_logged(dev: Run) -> None:
    keys = dev.one("hub-keys")
    assert list(keys.request.additionalSecretOutputs) == ["stdout"]
    assert keys.inputs["logging"] == "none"
    assert "triggers" not in keys.inputs, "new keys would log everyone out"


def test_the_reclaim_policy_is_chosen(dev: Run, prod: Run) -> None:
    assert dev.one("storage-storage-class").inputs["reclaimPolicy"] == "Delete"
    assert prod.one("storage-storage-class").inputs["reclaimPolicy"] == "Retain"


def test_components_are_named_by_their_module(dev: Run) -> None:
    components = {resource.type for resource in dev.registered if not resource.request.custom}
    assert len(components) > 10
    for token in components:
        package, module, name = token.split(":")
        assert package == "sciencegateway"
        assert isinstance(getattr(importlib.import_module(f"components.{module}"), name), type)


def test_what_makes_volumes_or_load_balancers_waits_for_the_guard(dev: Run) -> None:
    for name in ("hub-namespace", "ingress-namespace", "shared-drive-namespace", "shared-drive-volume"):
        assert "reclaim-wait" in dev.one(name).depends_on, name


def test_users_find_the_hub_at_its_host(dev: Run) -> None:
    assert dev.outputs["address"] == "https://science.gateway.projects.example"
    assert dev.one("dns-record").inputs["name"] == "science.gateway.projects.example."
    assert dev.one("dns-record").inputs["zoneId"] == "zone-id"


def test_without_a_certificate_there_is_no_way_in() -> None:
    smallest = built(GOOD / "smallest.yaml")
    kinds = {resource.type for resource in smallest.registered}
    assert not [kind for kind in kinds if "ingress" in kind.lower() or "FloatingIp" in kind]
    assert smallest.outputs["address"].startswith("http://proxy-public.")


def test_an_upgrade_waits_for_a_copy_of_the_database(dev: Run) -> None:
    assert "hub-backup-before-upgrade" in dev.one("hub-release").depends_on


def test_what_destroy_keeps_is_named(dev: Run, prod: Run) -> None:
    assert dev.outputs["kept_after_destroy"] == []
    assert any("homes" in kept for kept in prod.outputs["kept_after_destroy"])


def test_every_pod_of_the_programs_own_is_on_the_core_node_and_asks_for_its_part(dev: Run) -> None:
    """Those of the charts are looked at where their values are made."""
    kinds = {"kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:CronJob", "kubernetes:batch/v1:Job"}
    seen = set()
    for made in dev.registered:
        if made.type not in kinds:
            continue
        outer = made.inputs["spec"]
        pod = outer.get("jobTemplate", {"spec": outer})["spec"]["template"]["spec"]
        seen.add(made.name)
        assert pod["nodeSelector"] == on_group(CORE_GROUP), made.name
        tolerated = (CORE_TOLERATION, {"operator": "Exists"})
        assert any(each in tolerated for each in pod["tolerations"]), made.name
        for container in pod["containers"]:
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, made.name
    assert {"core-node-deployment", "shared-drive-server"} <= seen


def test_shared_homes_are_kept_by_their_own_name_and_not_as_a_class() -> None:
    settings = parse(*configuration(GOOD / "shared_homes.yaml"))
    kept_storage = settings.storage.model_copy(update={"reclaim_policy": "Retain"})
    kept = kept_after_destroy(settings.model_copy(update={"storage": kept_storage}), "science-test")
    assert kept == ["the hub's volumes of storage class gateway", "the homes science-test-homes"]


def test_a_shutdown_of_the_budget_ladder_backs_up_the_database_first() -> None:
    settings = parse(*configuration(PROGRAM / "Pulumi.dev.yaml"))
    triggers = [
        run_settings(braked(settings, rung)).one("hub-backup-before-upgrade").inputs["triggers"]
        for rung in (Rung.NORMAL, Rung.NO_NEW_SERVERS, Rung.SHUTDOWN)
    ]
    assert triggers[0] == triggers[1]
    assert triggers[2] == [*triggers[0], "shutdown"]
