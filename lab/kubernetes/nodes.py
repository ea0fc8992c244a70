"""Servers and nodes: as many of each group as are wanted, each node with its server and no more."""

from __future__ import annotations

import dataclasses
import datetime
import time

from lab.kubernetes import node_plan
from lab.kubernetes.api import ApiError, Object
from lab.kubernetes.cloud import CloudError, Server
from lab.kubernetes.folders import SeenGroup, WantedGroup
from lab.kubernetes.node_objects import is_ready, node_object
from lab.kubernetes.site import Site

DELETE_MARK = "cluster.x-k8s.io/delete-machine"
SERVER_DOWN = "lab.science-gateway/server-down"
"""KWOK leaves a node with this annotation alone; its value is the time since when."""

DOWN = ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED", "SUSPENDED", "PAUSED", "SOFT_DELETED")
RETRY_SECONDS = 15.0


@dataclasses.dataclass
class _Trouble:
    """Why a group's last server could not be made, and when to try again (monotonic seconds)."""

    problem: str
    is_final: bool
    retry_at: float


class Nodes:
    """Keeps the servers and nodes of one cluster."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._trouble: dict[str, _Trouble] = {}
        self._draining: dict[str, float] = {}

    def keep(self, servers: list[Server], sizes: dict[str, int]) -> dict[str, SeenGroup]:
        """One step towards what is wanted.

        Args:
            servers: this cluster's servers, as Nova lists them now.
            sizes: nodes that each wanted group is to have, by the group's UUID.

        Returns:
            What is there, by group; a group that is no longer wanted stays until its last server is gone.
        """
        nodes = {node["metadata"]["name"]: node for node in self._site.nodes.objects()}
        there = [server for server in servers if not server.is_going]
        self._forget_nodes(nodes, {server.id for server in there})
        self._forget_pods(nodes)
        seen: dict[str, SeenGroup] = {}
        for group in self._site.wanted.groups:
            mine = [server for server in there if server.group == group.uuid]
            seen[group.uuid] = self._keep_group(group, mine, nodes, sizes[group.uuid])
        wanted = {group.uuid for group in self._site.wanted.groups}
        for server in there:
            if server.group not in wanted:
                self._retire(server, nodes.get(server.name))
        for server in servers:
            if server.group not in wanted:
                seen[server.group] = SeenGroup(
                    ready=False, addresses=[], servers=1, problem=None, failed=False
                )
        return seen

    def _keep_group(
        self, group: WantedGroup, servers: list[Server], nodes: dict[str, Object], size: int
    ) -> SeenGroup:
        for server in [server for server in servers if server.status == "ERROR"]:
            self._note(group, f"Server {server.name} is in ERROR: {server.fault}", is_final=True)
            self._site.log.warning("removing server %s in ERROR: %s", server.name, server.fault)
            self._site.cloud.delete_server(server.id)
            servers = [other for other in servers if other.id != server.id]
        for server in servers:
            self._keep_node(group, server, nodes.get(server.name))
        servers = [server for server in servers if not self._heal(server, nodes.get(server.name))]
        states = [_machine(server, nodes.get(server.name), group.revision) for server in servers]
        plan = node_plan.plan(states, size)
        self._create(group, plan.create)
        going = {machine.id for machine in plan.retire}
        for server in servers:
            if server.id in going:
                self._retire(server, nodes.get(server.name))
        if not plan.create and len(servers) >= size:
            self._trouble.pop(group.uuid, None)
        trouble = self._trouble.get(group.uuid)
        is_settled = len(states) == size and not plan.retire
        return SeenGroup(
            ready=is_settled and all(state.is_ready and state.is_current for state in states),
            addresses=[address for server in servers for address in server.addresses[:1]],
            servers=len(servers),
            problem=trouble.problem if trouble else None,
            failed=bool(trouble and trouble.is_final),
        )

    # Making machines ------------------------------------------------------------------------------

    def _create(self, group: WantedGroup, count: int) -> None:
        trouble = self._trouble.get(group.uuid)
        if trouble and time.monotonic() < trouble.retry_at:
            return
        wanted = self._site.wanted
        for _ in range(count):
            name = node_plan.machine_name(wanted.name, group.name)
            try:
                self._site.cloud.create_server(
                    name=name,
                    flavor=group.flavor,
                    image=group.image,
                    network=wanted.network,
                    cluster=wanted.uuid,
                    group=group.uuid,
                    revision=group.revision,
                )
            except CloudError as error:
                self._note(group, f"Server {name}: {error}", is_final=error.is_refusal)
                self._site.log.warning("server %s refused: %s", name, error)
                return
            self._site.log.info("server %s (%s) asked for", name, group.flavor)

    def _note(self, group: WantedGroup, problem: str, *, is_final: bool) -> None:
        self._trouble[group.uuid] = _Trouble(problem, is_final, time.monotonic() + RETRY_SECONDS)

    def _keep_node(self, group: WantedGroup, server: Server, node: Object | None) -> None:
        """Registers a node once its server has started, as kubelet does."""
        if server.status != "ACTIVE" or server.launched_at is None:
            return
        age = (datetime.datetime.now(datetime.UTC) - server.launched_at).total_seconds()
        if node is not None or age < self._site.delays.node_start:
            return
        flavor = self._site.cloud.flavor(group.flavor)
        node = node_object(group, server, flavor, self._site.wanted.version)
        try:
            self._site.api.create("/api/v1/nodes", node)
        except ApiError as error:
            if error.is_conflict:
                return  # It joined in the last round; the mirror is a moment behind.
            raise
        self._site.log.info("node %s joined", server.name)

    # Losing machines --------------------------------------------------------------------------------

    def _forget_nodes(self, nodes: dict[str, Object], servers: set[str]) -> None:
        """Removes nodes whose server is gone, and at once the pods that died with it."""
        for name, node in list(nodes.items()):
            provider = node["spec"].get("providerID", "")
            if provider.startswith("openstack:///") and provider.rpartition("/")[2] not in servers:
                self._site.log.info("node %s removed: its server is gone", name)
                self._remove_node(name)
                del nodes[name]

    def _remove_node(self, name: str) -> None:
        # The node first: its pods' successors would be sent to it for as long as it is there.
        self._site.api.delete(f"/api/v1/nodes/{name}")
        self._draining.pop(name, None)
        for pod in self._site.pods.objects():
            if pod["spec"].get("nodeName") == name:
                self._forget_pod(pod)

    def _forget_pods(self, nodes: dict[str, Object]) -> None:
        """Removes pods of nodes that are gone: the scheduler may send one there in a node's last moment."""
        for pod in self._site.pods.objects():
            name = pod["spec"].get("nodeName")
            # The copy of the nodes may be behind the copy of the pods: what counts is what the API has.
            if name and name not in nodes and self._site.api.get(f"/api/v1/nodes/{name}") is None:
                self._forget_pod(pod)

    def _forget_pod(self, pod: Object) -> None:
        self._site.api.delete(_pod_path(pod), {"gracePeriodSeconds": 0})

    def _heal(self, server: Server, node: Object | None) -> bool:
        """Marks a node whose server is down as NotReady, and replaces it after a while.

        Returns:
            Whether the server was deleted.
        """
        if node is None:
            if server.status in DOWN and self._site.wanted.auto_healing:
                self._site.cloud.delete_server(server.id)
                return True
            return False
        path = f"/api/v1/nodes/{server.name}"
        since = node["metadata"].get("annotations", {}).get(SERVER_DOWN)
        if server.status not in DOWN:
            if since:
                self._site.api.patch(path, {"metadata": {"annotations": {SERVER_DOWN: None}}})
            return False
        now = datetime.datetime.now(datetime.UTC)
        if since is None:
            mark = {"metadata": {"annotations": {SERVER_DOWN: now.isoformat()}}}
            self._site.api.patch(path, mark)
            self._site.api.patch(f"{path}/status", {"status": {"conditions": [_not_ready(server, now)]}})
            self._site.log.info("node %s is not ready: its server is %s", server.name, server.status)
            return False
        age = (now - datetime.datetime.fromisoformat(since)).total_seconds()
        if not self._site.wanted.auto_healing or age < self._site.delays.unhealthy:
            return False
        self._site.log.warning("replacing node %s: its server is %s", server.name, server.status)
        self._site.cloud.delete_server(server.id)
        self._remove_node(server.name)
        return True

    def _retire(self, server: Server, node: Object | None) -> None:
        """Cordons and drains a node, then deletes its server; a later call goes on where this one ends."""
        if node is not None:
            if DELETE_MARK not in node["metadata"].get("annotations", {}) or not node["spec"].get(
                "unschedulable"
            ):
                mark = {"metadata": {"annotations": {DELETE_MARK: "true"}}, "spec": {"unschedulable": True}}
                self._site.api.patch(f"/api/v1/nodes/{server.name}", mark)
                self._site.log.info("node %s is drained", server.name)
            began = self._draining.setdefault(server.name, time.monotonic())
            left = self._evict(server.name)
            if left and time.monotonic() - began < self._site.delays.drain:
                return
            if left:
                self._site.log.warning("node %s goes with %d pods still on it", server.name, left)
            self._remove_node(server.name)
        self._site.cloud.delete_server(server.id)
        self._site.log.info("server %s deleted", server.name)

    def _evict(self, node: str) -> int:
        """Asks the pods of a node to leave; returns how many are still there."""
        # The mirror may be behind: what counts is what the API server has now.
        pods, _ = self._site.api.list("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        leaving = [pod for pod in pods if _must_leave(pod)]
        for pod in leaving:
            if "deletionTimestamp" in pod["metadata"]:
                continue
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            }
            try:
                self._site.api.create(f"{_pod_path(pod)}/eviction", eviction)
            except ApiError as error:
                # 429: a disruption budget forbids it for now; 404: it has left by itself.
                if error.status not in (404, 429):
                    raise
        return len(leaving)


def _machine(server: Server, node: Object | None, revision: str) -> node_plan.Machine:
    annotations = node["metadata"].get("annotations", {}) if node else {}
    return node_plan.Machine(
        id=server.id,
        name=server.name,
        created_at=server.created_at,
        is_current=server.revision == revision,
        is_ready=node is not None and is_ready(node),
        is_marked=DELETE_MARK in annotations,
    )


def _not_ready(server: Server, now: datetime.datetime) -> dict[str, str]:
    return {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": f"The server is {server.status}.",
        "lastHeartbeatTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _must_leave(pod: Object) -> bool:
    metadata = pod["metadata"]
    owners = {owner["kind"] for owner in metadata.get("ownerReferences", [])}
    is_mirror = "kubernetes.io/config.mirror" in metadata.get("annotations", {})
    is_done = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not (is_mirror or is_done or "DaemonSet" in owners)


def _pod_path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
