"""Keeping one cluster: its control plane's processes, and through them everything else."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator

from lab import processes
from lab.errors import LabError
from lab.kubernetes import kubelet, node_plan
from lab.kubernetes.api import ApiError
from lab.kubernetes.cloud import Cloud, CloudError, Server
from lab.kubernetes.control_plane import VERSION, ControlPlane
from lab.kubernetes.delays import Delays
from lab.kubernetes.folders import Folder, Seen, SeenGroup, Wanted
from lab.kubernetes.kubelet import Kubelet
from lab.kubernetes.load_balancers import LoadBalancers, port_prefix
from lab.kubernetes.node_objects import is_ready
from lab.kubernetes.nodes import Nodes
from lab.kubernetes.restarts import Restarts
from lab.kubernetes.scaling import Autoscaler
from lab.kubernetes.site import Site
from lab.kubernetes.volumes import Volumes

START_SECONDS = 60.0
"""A control plane that has not answered by then has failed to start."""

BLOCKED_SECONDS = 10.0
"""One that cannot even be started (a port is taken, no slot is free) has failed after this."""

IDLE_SECONDS = 5.0
"""How old the list of servers may be while nothing changes."""

MAGNUMS_FILES = ("wanted.json", "observed.json")


@dataclasses.dataclass(kw_only=True)
class _Parts:
    """What works inside a cluster whose API server answers."""

    site: Site
    nodes: Nodes
    autoscaler: Autoscaler
    volumes: Volumes
    load_balancers: LoadBalancers
    kubelet: Kubelet


class Cluster:
    """One cluster's keeper. Every step may be the last before a kill, and the first after one."""

    def __init__(self, folder: Folder, cloud: Cloud, changed: threading.Event) -> None:
        self._folder = folder
        self._cloud = cloud
        self._changed = changed
        self._began = time.monotonic()
        self._has_answered = False
        self._is_settled = False
        self._plane: ControlPlane | None = None
        self._parts: _Parts | None = None
        self._restarts = Restarts()
        self._told: dict[str, float] = {}
        self._log = logging.LoggerAdapter(logging.getLogger("keeper"), {"cluster": folder.uuid[:8]})

    def step(self, delays: Delays) -> None:
        """One step towards what Magnum wants; tells Magnum's driver what there is.

        Raises:
            LabError: if the lab itself is in the way (OpenStack does not answer, a port is taken).
        """
        wanted = self._folder.wanted()
        if wanted is None:
            return
        if wanted.deleted:
            self._remove(wanted)
            return
        try:
            plane = self._plane = self._plane or self._prepared()
            self._keep_processes(plane)
        except LabError as error:
            self._report_trouble(wanted, str(error), BLOCKED_SECONDS)
            raise
        if not self._answers(plane):
            self._report_trouble(wanted, self._why_no_answer(plane), START_SECONDS)
            return
        self._has_answered = True
        parts = self._enter(wanted, plane, delays)
        if parts.site.is_synced:
            self._keep_inside(parts, plane)

    def stop(self) -> None:
        """Ends the watches; the cluster's processes go on."""
        if self._parts:
            self._parts.site.stop()
            self._parts = None

    def _prepared(self) -> ControlPlane:
        plane = self._folder.control_plane()
        plane.prepare()
        return plane

    # The control plane ----------------------------------------------------------------------------

    def _keep_processes(self, plane: ControlPlane) -> None:
        etcd, apiserver, *clients = plane.services()
        for service in (etcd, apiserver):
            self._keep_process(service, processes.start)
        # Started before the API server answers, they would wait for it at ever longer intervals.
        if self._answers(plane):
            for service in clients:
                self._keep_process(service, plane.start_client)

    def _keep_process(self, service: processes.Service, start: Callable[[processes.Service], bool]) -> None:
        if processes.find(service.name) or not self._restarts.may_start(service.name):
            return
        self._log.info("starting %s", service.name)
        start(service)

    def _answers(self, plane: ControlPlane) -> bool:
        return self._parts.site.api.is_ready() if self._parts else plane.answers()

    def _why_no_answer(self, plane: ControlPlane) -> str:
        for service in plane.services()[:2]:
            if processes.find(service.name) is None:
                return f"{service.name} does not run. {processes.last_lines(service.name, 3)}"
        return f"{plane.name}-apiserver does not answer yet"

    def _report_trouble(self, wanted: Wanted, problem: str, patience: float) -> None:
        before = self._folder.seen()
        late = time.monotonic() - self._began > patience
        never = not self._has_answered and (before is None or before.version is None)
        self._folder.report(
            Seen(
                generation=wanted.generation,
                api_address=before.api_address if before else None,
                version=before.version if before else None,
                health={"api": problem},
                problem=problem,
                failed=never and late,
                groups=before.groups if before else {},
            )
        )

    # Inside -----------------------------------------------------------------------------------------

    def _enter(self, wanted: Wanted, plane: ControlPlane, delays: Delays) -> _Parts:
        if self._parts is None:
            self._log.info("API server of %s answers at %s", wanted.name, plane.url)
            site = Site(
                wanted=wanted,
                control_plane=plane,
                cloud=self._cloud,
                delays=delays,
                changed=self._changed,
                log=self._log,
            )
            self._parts = _Parts(
                site=site,
                nodes=Nodes(site),
                autoscaler=Autoscaler(site),
                volumes=Volumes(site),
                load_balancers=LoadBalancers(site),
                kubelet=Kubelet(site, self.tell_once),
            )
            self._parts.volumes.install()
        self._parts.site.wanted, self._parts.site.delays = wanted, delays
        return self._parts

    def _keep_inside(self, parts: _Parts, plane: ControlPlane) -> None:
        # Each part does its work even if another cannot: a full quota must not keep volumes away.
        for part in (parts.volumes.keep, parts.load_balancers.keep, parts.kubelet.keep):
            self._attempt(part)
        wanted = parts.site.wanted
        if wanted.version != VERSION:
            groups = {group.uuid: _refused(wanted) for group in wanted.groups}
        else:
            groups = self._keep_nodes(parts)
        self._is_settled = all(group.ready for group in groups.values())
        health = {"api": "ok"}
        for node in parts.site.nodes.objects():
            health[f"{node['metadata']['name']}.Ready"] = str(is_ready(node))
        self._folder.report(
            Seen(
                generation=wanted.generation,
                api_address=plane.url,
                version=VERSION,
                healthy=self._is_settled and "False" not in health.values(),
                health=health,
                problem=next((group.problem for group in groups.values() if group.problem), None),
                groups=groups,
            )
        )

    def _keep_nodes(self, parts: _Parts) -> dict[str, SeenGroup]:
        servers = self._servers(IDLE_SECONDS if self._is_settled else 0.0)
        sizes = self._sizes(parts.site.wanted, servers)
        scaled = parts.autoscaler.scale(sizes)
        kept = {
            group.uuid: scaled[group.uuid] for group in parts.site.wanted.groups if group.minimum is not None
        }
        self._folder.write_sizes(kept)
        return parts.nodes.keep(servers, scaled)

    def _servers(self, max_age: float) -> list[Server]:
        return [server for server in self._cloud.servers(max_age) if server.cluster == self._folder.uuid]

    def _sizes(self, wanted: Wanted, servers: list[Server]) -> dict[str, int]:
        """How many nodes each group is to have: Magnum's count, or the autoscaler's within the bounds.

        An autoscaled group starts with its minimum, whatever node_count says: Cluster API's rule for a
        machine deployment without replicas.
        """
        last = self._folder.sizes()
        sizes: dict[str, int] = {}
        for group in wanted.groups:
            if group.minimum is None or group.maximum is None:
                sizes[group.uuid] = group.count
                continue
            there = sum(server.group == group.uuid for server in servers)
            before = last.get(group.uuid, there)
            sizes[group.uuid] = node_plan.clamp(before, group.minimum, group.maximum)
        return sizes

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (CloudError, ApiError) as error:
            self.tell_once(str(error))

    def tell_once(self, problem: str) -> None:
        """Logs a problem, the same one at most every half minute."""
        if time.monotonic() - self._told.get(problem, float("-inf")) > 30:
            self._told[problem] = time.monotonic()
            self._log.warning("%s", problem)

    # The end ----------------------------------------------------------------------------------------

    def _remove(self, wanted: Wanted) -> None:
        """Removes all but what Jetstream2 leaves behind too: volumes, and Services' floating addresses."""
        seen = self._folder.seen()
        if seen and seen.deleted:
            return
        if self._folder.slot() is not None and any(self._running()):
            self._log.info("removing %s", wanted.name)
            self.stop()
            kubelet.stop_all(self._folder.control_plane())
            # Its data goes anyway, so nothing has to be put in order first.
            self._folder.control_plane().stop(grace=0.2)
        servers = self._servers(0.0)
        for server in servers:
            if not server.is_going:
                self._cloud.delete_server(server.id)
        prefix = port_prefix(wanted.uuid)
        for port in self._cloud.ports(network_id=wanted.network):
            if port["name"].startswith(prefix):
                for address in self._cloud.floating_ips(port_id=port["id"]):
                    self._cloud.associate_floating_ip(address["id"], None)
                self._cloud.delete_port(port["id"])
        if servers:
            return
        for path in self._folder.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in MAGNUMS_FILES:
                path.unlink()
        self._folder.report(Seen(generation=wanted.generation, deleted=True))
        self._log.info("%s is gone", wanted.name)

    def _running(self) -> Iterator[str]:
        for service in self._folder.control_plane().services():
            if processes.pid_file(service.name).exists():
                yield service.name


def _refused(wanted: Wanted) -> SeenGroup:
    problem = (
        f"The image asks for Kubernetes {wanted.version}; the lab runs {VERSION}. "
        f"Take an image whose kube_version is {VERSION}."
    )
    return SeenGroup(ready=False, addresses=[], servers=0, problem=problem, failed=True)
