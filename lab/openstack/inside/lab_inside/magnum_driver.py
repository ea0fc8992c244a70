"""The lab's Magnum driver: writes down what is wanted of each cluster and reports what the keeper sees.

It follows Jetstream2's driver also in what hurts: node groups' labels, role, taints and image go
nowhere, no group can be empty, default-worker's bounds are the cluster's labels, an autoscaled group's
node count is not followed, and a group cannot be created while another one is.
"""
# ruff: noqa: ARG002, PLR0917 - the signatures are Magnum's

from __future__ import annotations

import threading
import time
from typing import Any

from magnum.common import clients, exception, neutron, short_id
from magnum.conductor.handlers.common import cert_manager
from magnum.drivers.common import driver
from magnum.objects import fields

from lab_inside import cluster_folder, cluster_rules, cluster_status
from lab_inside.cluster_rules import RuleError

Status = fields.ClusterStatus

_one_request = threading.Lock()
"""Conductor threads must not overwrite each other's requests."""

ANSWER_SECONDS = 5.0
"""How long the keeper may take to see what is asked of it."""


class Driver(driver.Driver):
    """Clusters of ubuntu servers with Kubernetes, kept by the lab's keeper."""

    provides = [{"server_type": "vm", "os": "ubuntu", "coe": "kubernetes"}]  # noqa: RUF012 - Magnum's form

    # What users ask for ---------------------------------------------------------------------------

    def create_cluster(self, context: Any, cluster: Any, cluster_create_timeout: int) -> None:
        """Asks the keeper for a cluster; Magnum records CREATE_FAILED with the reason if this raises."""
        if not cluster.fixed_network:
            raise exception.MagnumException(
                message="The cluster has no fixed_network. Name the network its nodes are to be on."
            )
        for group in cluster.nodegroups:
            _check_flavor(context, group.flavor_id)
        cluster.stack_id = f"{cluster.name[:30]}-{short_id.generate_id()}".lower()
        authority = cert_manager.get_cluster_ca_certificate(cluster, context=context)
        cluster_folder.write(cluster.uuid, "pki/ca.key", _text(authority.get_decrypted_private_key()))
        cluster_folder.write(cluster.uuid, "pki/ca.crt", _text(authority.get_certificate()))
        with _one_request:
            _ask(context, cluster)

    def update_cluster(
        self, context: Any, cluster: Any, scale_manager: Any = None, rollback: bool = False
    ) -> None:
        """Refused, as on Jetstream2: nodes are added by a resize or by the autoscaler."""
        raise exception.MagnumException(message="Updating a cluster in this way is not currently supported")

    def upgrade_cluster(
        self,
        context: Any,
        cluster: Any,
        cluster_template: Any,
        max_batch_size: int,
        nodegroup: Any,
        scale_manager: Any = None,
        rollback: bool = False,
    ) -> None:
        """Moves the whole cluster to another template; its image replaces the nodes one by one."""
        for group in cluster.nodegroups:
            _check_flavor(context, group.flavor_id)
        # Settled in between, by what the keeper saw before it was asked, the upgrade would be over at once.
        with _one_request:
            for group in cluster.nodegroups:
                group.status = Status.UPDATE_IN_PROGRESS
                group.save()
            cluster.cluster_template_id = cluster_template.uuid
            cluster.status = Status.UPDATE_IN_PROGRESS
            cluster.save()
            cluster.refresh()
            # refresh() does not reload the template that was loaded before.
            cluster.cluster_template = cluster_template
            _ask(context, cluster)

    def delete_cluster(self, context: Any, cluster: Any) -> None:
        """Asks for the cluster's end. Volumes and floating addresses made from inside it stay behind."""
        for group in cluster.nodegroups:
            group.status = Status.DELETE_IN_PROGRESS
            group.save()
        with _one_request:
            last = cluster_folder.wanted(cluster.uuid)
            if last:
                cluster_folder.ask(cluster.uuid, {**_without_generation(last), "deleted": True})

    def resize_cluster(
        self,
        context: Any,
        cluster: Any,
        resize_manager: Any,
        node_count: int,
        nodes_to_remove: list[str],
        nodegroup: Any = None,
    ) -> None:
        """Passes on a group's new node count, which only a group without autoscaling follows."""
        with _one_request:
            _ask(context, cluster)
            _mark_in_progress(cluster)

    def create_nodegroup(self, context: Any, cluster: Any, nodegroup: Any) -> None:
        """Adds a group, unless another one is being made."""
        _check_flavor(context, nodegroup.flavor_id)
        with _one_request:
            _refuse_second_creation(cluster, nodegroup)
            nodegroup.stack_id = cluster.stack_id
            nodegroup.save()
            _ask(context, cluster)
            _mark_in_progress(cluster)

    def update_nodegroup(self, context: Any, cluster: Any, nodegroup: Any) -> None:
        """Passes on a group's new bounds. Where no node has to come or go, all is done when this returns."""
        with _one_request:
            nodegroup.save()
            _ask(context, cluster)
            _mark_in_progress(cluster)
        # Nobody waits here for long; who finds the group in progress looks again only 20 s later.
        deadline = time.monotonic() + ANSWER_SECONDS
        while cluster_folder.observed(cluster.uuid) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        with _one_request:
            cluster_status.settle(cluster)

    def delete_nodegroup(self, context: Any, cluster: Any, nodegroup: Any) -> None:
        """Asks for the end of a group; it leaves Magnum when its last server is gone."""
        with _one_request:
            nodegroup.save()
            _ask(context, cluster)
            _mark_in_progress(cluster)

    def create_federation(self, context: Any, federation: Any) -> None:
        """Not in Jetstream2's driver either."""
        raise NotImplementedError("Will not implement 'create_federation'")

    def update_federation(self, context: Any, federation: Any) -> None:
        """Not in Jetstream2's driver either."""
        raise NotImplementedError("Will not implement 'update_federation'")

    def delete_federation(self, context: Any, federation: Any) -> None:
        """Not in Jetstream2's driver either."""
        raise NotImplementedError("Will not implement 'delete_federation'")

    # What Magnum asks from time to time -------------------------------------------------------------

    def update_cluster_status(self, context: Any, cluster: Any, use_admin_ctx: bool = False) -> None:
        """Settles a cluster in progress, and its groups, by what the keeper sees."""
        with _one_request:
            cluster_status.settle(cluster)

    def get_monitor(self, context: Any, cluster: Any) -> cluster_status.Monitor:
        """Reports the cluster's health, which Magnum asks for every minute."""
        return cluster_status.Monitor(cluster)


def _ask(context: Any, cluster: Any) -> None:
    template = cluster.cluster_template
    labels = cluster_rules.merged_labels(template.labels, cluster.labels)
    image = clients.OpenStackClients(context).glance().find_image(template.image_id, ignore_missing=False)
    last = cluster_folder.wanted(cluster.uuid)
    already = {group["uuid"] for group in last["groups"]} if last else set()
    cluster_folder.ask(
        cluster.uuid,
        {
            "uuid": cluster.uuid,
            "name": cluster.name,
            "created_at": cluster.created_at.isoformat(),
            "deleted": False,
            "version": _kubernetes_version(image),
            "network": _network_id(context, cluster.fixed_network),
            "external_network": neutron.get_external_network_id(context, template.external_network_id),
            "reclaim_policy": labels.get("csi_cinder_reclaim_policy", "Retain"),
            "volume_expansion": cluster_rules.is_on(labels, "csi_cinder_allow_volume_expansion", True),
            "auto_healing": cluster_rules.is_on(labels, "auto_healing_enabled", True),
            "groups": [
                _group(group, image, labels, cluster.labels or {})
                for group in cluster.nodegroups
                if _is_wanted(group, already)
            ],
        },
    )


def _mark_in_progress(cluster: Any) -> None:
    """Repeats what the conductor has recorded: settling the last request may have overwritten it."""
    cluster.refresh()
    cluster.status = Status.UPDATE_IN_PROGRESS
    cluster.save()


def _group(group: Any, image: Any, labels: dict[str, str], cluster_labels: dict[str, str]) -> dict[str, Any]:
    is_control_plane = group.role == "master"
    minimum = maximum = None
    try:
        if not is_control_plane and cluster_rules.is_on(labels, "auto_scaling_enabled", False):
            low, high = cluster_rules.bounds(
                count=group.node_count,
                minimum=group.min_node_count,
                maximum=group.max_node_count,
                is_default_worker=group.is_default,
                labels=cluster_labels,
            )
            if low != high:
                minimum, maximum = low, high
        name = cluster_rules.node_group_label("control-plane" if is_control_plane else group.name)
    except RuleError as broken:
        raise exception.NodeGroupInvalidInput(message=str(broken)) from broken
    return {
        "uuid": group.uuid,
        "name": name,
        "role": "master" if is_control_plane else "worker",
        "flavor": group.flavor_id,
        "image": image.id,
        "count": group.node_count,
        "minimum": minimum,
        "maximum": maximum,
        "revision": image.id,
    }


def _is_wanted(group: Any, already: set[str]) -> bool:
    if group.status in (Status.DELETE_IN_PROGRESS, Status.DELETE_FAILED):
        return False
    # A group that was refused stays in Magnum as CREATE_FAILED but has never been asked for.
    return group.status != Status.CREATE_FAILED or group.uuid in already


def _refuse_second_creation(cluster: Any, nodegroup: Any) -> None:
    asked, seen = cluster_folder.wanted(cluster.uuid), cluster_folder.observed(cluster.uuid)
    accepted = {group["uuid"] for group in asked["groups"]} if asked else set()
    for other in cluster.nodegroups:
        if other.uuid == nodegroup.uuid or other.uuid not in accepted:
            continue
        unfinished = seen is None or not seen["groups"].get(other.uuid, {}).get("ready")
        if other.status == Status.CREATE_IN_PROGRESS and unfinished:
            raise exception.Conflict(
                message=f"Node group {other.name} is still being created: another operation "
                "(install/upgrade/rollback) is in progress. Create node groups one after another."
            )


def _check_flavor(context: Any, name: str) -> None:
    flavor = clients.OpenStackClients(context).nova().find_flavor(name, ignore_missing=False)
    try:
        cluster_rules.check_flavor(name, flavor.vcpus, flavor.ram)
    except RuleError as broken:
        raise exception.MagnumException(message=str(broken)) from broken


def _network_id(context: Any, network: str) -> str:
    client = clients.OpenStackClients(context).neutron()
    return str(client.find_network(network, ignore_missing=False).id)


def _kubernetes_version(image: Any) -> str:
    version = (image.properties or {}).get("kube_version")
    if not version:
        raise exception.MagnumException(message=f"Image {image.name} does not have a kube_version property.")
    return "v" + str(version).lstrip("v")


def _text(pem: str | bytes) -> str:
    return pem.decode() if isinstance(pem, bytes) else pem


def _without_generation(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "generation"}
