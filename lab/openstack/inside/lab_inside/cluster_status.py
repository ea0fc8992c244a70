"""Settling the statuses of Magnum's clusters and node groups by what the keeper sees."""

from __future__ import annotations

import datetime
from typing import Any

from magnum.objects import fields

from lab_inside import cluster_folder, cluster_rules

Status = fields.ClusterStatus


def settle(cluster: Any) -> None:
    """Settles a cluster in progress, and its groups. Magnum's periodic task calls this until it is."""
    cluster.refresh()
    asked, seen = cluster_folder.wanted(cluster.uuid), cluster_folder.observed(cluster.uuid)
    if cluster.status == Status.DELETE_IN_PROGRESS:
        if asked is None or (seen and seen["deleted"]):
            cluster_folder.remove(cluster.uuid)
            cluster.status = Status.DELETE_COMPLETE
            cluster.save()
        return
    if asked and asked["deleted"]:
        return  # The conductor is about to record the deletion.
    failed: list[Any] = []
    if seen:
        if cluster.api_address != seen["api_address"]:
            cluster.api_address = seen["api_address"]
            cluster.save()
        failed = _settle_groups(cluster, seen)
    problem = _cluster_problem(cluster, seen)
    if problem:
        cluster.status = cluster_rules.settled(cluster.status, ready=False, failed=True)
        cluster.status_reason = problem
    elif seen and seen["version"] and not any(_in_progress(group) for group in cluster.nodegroups):
        cluster.status = cluster_rules.settled(cluster.status, ready=True, failed=bool(failed))
        cluster.status_reason = f"Node group {failed[0].name}: {failed[0].status_reason}" if failed else None
        cluster.coe_version = seen["version"]
        cluster.health_status, cluster.health_status_reason = _health(seen)
    cluster.save()


class Monitor:
    """A cluster's health, by what the keeper sees."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.data: dict[str, Any] = {}

    def poll_health_status(self) -> None:
        """Fills ``data`` in the way that Magnum's periodic task expects."""
        seen = cluster_folder.observed(self._cluster.uuid)
        if seen is None:
            return
        # A cluster whose update failed gets no other visit: groups that were under way would stay so.
        if self._cluster.status.endswith("_FAILED"):
            _settle_groups(self._cluster, seen)
        self.data["health_status"], self.data["health_status_reason"] = _health(seen)


def _settle_groups(cluster: Any, seen: dict[str, Any]) -> list[Any]:
    """Settles the groups and returns those that have just failed."""
    failed = []
    for group in cluster.nodegroups:
        there = seen["groups"].get(group.uuid)
        if group.status == Status.DELETE_IN_PROGRESS:
            if there is None and not group.is_default:
                group.destroy()
            continue
        if there is None:
            continue
        if _in_progress(group) and there["failed"]:
            failed.append(group)
        group.status = cluster_rules.settled(group.status, ready=there["ready"], failed=there["failed"])
        group.status_reason = there["problem"]
        group.node_addresses = there["addresses"]
        group.save()
    return failed


def _cluster_problem(cluster: Any, seen: dict[str, Any] | None) -> str | None:
    """Why a creation has failed for good, or None."""
    if cluster.status != Status.CREATE_IN_PROGRESS:
        return None
    if seen and seen["failed"]:
        return str(seen["problem"])
    for group in cluster.nodegroups:
        if group.status == Status.CREATE_FAILED:
            return f"Node group {group.name}: {group.status_reason}"
    now = datetime.datetime.now(datetime.UTC)
    if cluster_rules.is_late(cluster.created_at, cluster.create_timeout, now):
        problem = seen["problem"] if seen else "nothing answered for it; is the lab's keeper running?"
        return f"Not created within {cluster.create_timeout} minutes: {problem or 'nodes are not ready'}"
    return None


def _health(seen: dict[str, Any]) -> tuple[str, dict[str, str]]:
    status = fields.ClusterHealthStatus
    return (status.HEALTHY if seen["healthy"] else status.UNHEALTHY), seen["health"]


def _in_progress(group: Any) -> bool:
    return bool(group.status and group.status.endswith("_IN_PROGRESS"))
