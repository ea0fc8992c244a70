"""A real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler, KWOK.

Knows nothing of OpenStack: a name, a folder, ports and a CA are enough.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import ssl
import time
from pathlib import Path
from typing import Any

import yaml

from lab import paths, processes
from lab.errors import LabError
from lab.kubernetes import certificates
from lab.kubernetes.certificates import write_private
from lab.ports import HOST, ClusterPorts
from lab.processes import Service

VERSION = "v1.33.1"
"""The Kubernetes that the lab's toolchain builds."""

SERVICE_RANGE = "172.24.0.0/13"
"""Jetstream2's range of cluster addresses, so that addresses pinned for it work here."""

POD_RANGE = "172.16.0.1/13"

ADVERTISED = "192.0.2.1"
"""The API server will not advertise loopback. Nothing runs in the pods, so nobody dials this address."""

SERVING_NAMES = (
    HOST,
    "172.24.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

LEASE_SECONDS = 60
"""How long a node may miss its heartbeat before it counts as lost."""

NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

STAGES = Path(__file__).parent / "stages"

OFF = (
    "node-ipam-controller",
    "cloud-node-lifecycle-controller",
    "node-route-controller",
    "service-lb-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-expander-controller",
)
"""Controllers without work here: the keeper stands in for cloud controllers and storage sidecars."""

CLIENTS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kwok": ("lab:kwok", "system:masters"),
}
"""Client certificates: file name to Kubernetes user and group."""

STOP_ORDER = ("kwok", "scheduler", "controller-manager", "apiserver", "etcd")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """One cluster's control plane.

    Attributes:
        name: prefix of its services' names, unique in the lab.
        directory: its folder; ``pki/ca.crt`` and ``pki/ca.key`` must hold the cluster's CA.
        ports: where it listens.
    """

    name: str
    directory: Path
    ports: ClusterPorts

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://{HOST}:{self.ports.apiserver}"

    def pki(self, file: str) -> Path:
        """A file among the certificates."""
        return self.directory / "pki" / file

    def prepare(self) -> None:
        """Issues what is missing of certificates, keys and kubeconfigs; a second call changes nothing.

        Raises:
            LabError: if the CA is missing or unreadable.
        """
        try:
            authority = certificates.load_authority(self.pki("ca.crt"), self.pki("ca.key"))
        except (OSError, ValueError) as error:
            raise LabError(f"The CA of cluster {self.name} cannot be used: {error}") from error
        self._issue(authority, "apiserver", "kube-apiserver", None, SERVING_NAMES)
        for file, (user, group) in CLIENTS.items():
            self._issue(authority, file, user, group, ())
            config = self.directory / f"{file}.kubeconfig"
            if not config.exists():
                write_private(config, yaml.safe_dump(self.kubeconfig(file)).encode())
        if not self.pki("service-accounts.pub").exists():
            certificates.make_signing_key(self.pki("service-accounts.key"), self.pki("service-accounts.pub"))
        if not self.pki("etcd-client.crt").exists():
            # etcd has a CA of its own: holders of a cluster certificate must not reach its bare data.
            files = self.pki("etcd-ca.crt"), self.pki("etcd-ca.key")
            if not files[0].exists():
                certificates.make_authority("etcd", *files)
            etcd = certificates.load_authority(*files)
            self._issue(etcd, "etcd", "etcd", None, (HOST, "localhost"))
            self._issue(etcd, "etcd-client", "kube-apiserver", None, ())

    def kubeconfig(self, client: str = "admin", context: str = "") -> dict[str, Any]:
        """A kubeconfig with everything embedded.

        Args:
            client: one of ``CLIENTS``.
            context: what its cluster and context are called; the control plane's name if empty.
        """
        context = context or self.name
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": context,
                    "cluster": {"server": self.url, "certificate-authority-data": _data(self.pki("ca.crt"))},
                }
            ],
            "users": [
                {
                    "name": f"{context}-{client}",
                    "user": {
                        "client-certificate-data": _data(self.pki(f"{client}.crt")),
                        "client-key-data": _data(self.pki(f"{client}.key")),
                    },
                }
            ],
            "contexts": [{"name": context, "context": {"cluster": context, "user": f"{context}-{client}"}}],
            "current-context": context,
        }

    def services(self) -> list[Service]:
        """The processes, in the order in which they are started."""
        return [self._etcd(), self._apiserver(), self._controller_manager(), self._scheduler(), self._kwok()]

    def answers(self) -> bool:
        """Does the API server say that it is ready?"""
        try:
            return self._request("GET", "/readyz") == 200
        except (OSError, http.client.HTTPException):
            # A certificate that is not the CA's, or none at all, is as bad as no answer.
            return False

    def start_client(self, service: Service) -> bool:
        """Starts one of the processes that need the API server, once that answers.

        A KWOK that was killed still holds its nodes' leases; the next one would leave those nodes
        alone until they expire, so they go first.

        Returns:
            True if it was started, False if it was running.

        Raises:
            LabError: if a port of its own is taken or the API server fails meanwhile.
        """
        if service.name == f"{self.name}-kwok" and processes.find(service.name) is None:
            try:
                self._request("DELETE", NODE_LEASES)
            except (OSError, http.client.HTTPException) as error:
                raise LabError(f"{self.name}-apiserver stopped answering: {error}") from error
        return processes.start(service)

    def _request(self, method: str, path: str) -> int:
        trusted = ssl.create_default_context(cafile=str(self.pki("ca.crt")))
        trusted.load_cert_chain(self.pki("admin.crt"), self.pki("admin.key"))
        connection = http.client.HTTPSConnection(HOST, self.ports.apiserver, timeout=5, context=trusted)
        with contextlib.closing(connection):
            connection.request(method, path)
            return connection.getresponse().status

    def start(self, timeout: float = 60.0) -> None:
        """Starts what does not run and waits until the API server is ready.

        Args:
            timeout: seconds.

        Raises:
            LabError: if a port is taken, or it does not get ready in time; the text says which and why.
        """
        self.prepare()
        etcd, apiserver, *clients = self.services()
        deadline = time.monotonic() + timeout
        processes.start(etcd)
        processes.start(apiserver)
        processes.wait_ready(apiserver, deadline - time.monotonic())
        for service in clients:
            self.start_client(service)

    def stop(self, grace: float = 10.0) -> None:
        """Stops its processes, the ones that need the others first.

        Args:
            grace: seconds that each gets to end by itself.
        """
        for part in STOP_ORDER:
            processes.stop(f"{self.name}-{part}", grace)

    def _issue(
        self,
        authority: certificates.Authority,
        file: str,
        user: str,
        group: str | None,
        addresses: tuple[str, ...],
    ) -> None:
        # The certificate is written after the key: one that is there is whole.
        if not self.pki(f"{file}.crt").exists():
            certificates.issue(
                authority,
                self.pki(f"{file}.crt"),
                self.pki(f"{file}.key"),
                common_name=user,
                organization=group,
                addresses=addresses,
            )

    def _service(
        self, part: str, program: str, arguments: list[str], port: int | None, memory: int
    ) -> Service:
        return Service(
            name=f"{self.name}-{part}",
            command=[str(paths.BIN / program), *arguments],
            # Go keeps up to twice what is in use; these limits trade some CPU for a third of the memory.
            environment={"GOGC": "50", "GOMEMLIMIT": f"{memory}MiB", "GOMAXPROCS": "2"},
            ports=[port] if port else [],
            ready=self.answers if part == "apiserver" else None,
            directory=self.directory,
        )

    def _etcd(self) -> Service:
        client = f"https://{HOST}:{self.ports.etcd_client}"
        peer = f"https://{HOST}:{self.ports.etcd_peer}"
        return self._service(
            "etcd",
            "etcd",
            [
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--client-cert-auth",
                f"--trusted-ca-file={self.pki('etcd-ca.crt')}",
                f"--cert-file={self.pki('etcd.crt')}",
                f"--key-file={self.pki('etcd.key')}",
                "--peer-client-cert-auth",
                f"--peer-trusted-ca-file={self.pki('etcd-ca.crt')}",
                f"--peer-cert-file={self.pki('etcd.crt')}",
                f"--peer-key-file={self.pki('etcd.key')}",
                # Every commit is still written to the file before it is answered, so that a killed
                # process loses nothing; only a machine that loses power could.
                "--unsafe-no-fsync",
                "--snapshot-count=10000",
                "--log-level=warn",
            ],
            self.ports.etcd_client,
            96,
        )

    def _apiserver(self) -> Service:
        return self._service(
            "apiserver",
            "kube-apiserver",
            [
                f"--bind-address={HOST}",
                f"--secure-port={self.ports.apiserver}",
                f"--advertise-address={ADVERTISED}",
                "--endpoint-reconciler-type=none",
                f"--etcd-servers=https://{HOST}:{self.ports.etcd_client}",
                f"--etcd-cafile={self.pki('etcd-ca.crt')}",
                f"--etcd-certfile={self.pki('etcd-client.crt')}",
                f"--etcd-keyfile={self.pki('etcd-client.key')}",
                f"--tls-cert-file={self.pki('apiserver.crt')}",
                f"--tls-private-key-file={self.pki('apiserver.key')}",
                f"--client-ca-file={self.pki('ca.crt')}",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={self.pki('service-accounts.pub')}",
                f"--service-account-signing-key-file={self.pki('service-accounts.key')}",
                "--event-ttl=1h",
                "--profiling=false",
            ],
            self.ports.apiserver,
            240,
        )

    def _controller_manager(self) -> Service:
        config = self.directory / "controller-manager.kubeconfig"
        return self._service(
            "controller-manager",
            "kube-controller-manager",
            [
                f"--bind-address={HOST}",
                f"--secure-port={self.ports.controller_manager}",
                f"--kubeconfig={config}",
                "--leader-elect=false",
                f"--controllers=*,{','.join(f'-{name}' for name in OFF)}",
                "--use-service-account-credentials",
                f"--root-ca-file={self.pki('ca.crt')}",
                f"--service-account-private-key-file={self.pki('service-accounts.key')}",
                f"--cluster-signing-cert-file={self.pki('ca.crt')}",
                f"--cluster-signing-key-file={self.pki('ca.key')}",
                "--profiling=false",
                # KWOK renews a node's lease at a quarter of the time after which it is missed.
                f"--node-monitor-grace-period={LEASE_SECONDS}s",
                # The defaults suit a shared server; here they only make the first seconds slow.
                "--kube-api-qps=100",
                "--kube-api-burst=200",
            ],
            self.ports.controller_manager,
            80,
        )

    def _scheduler(self) -> Service:
        return self._service(
            "scheduler",
            "kube-scheduler",
            [
                f"--bind-address={HOST}",
                f"--secure-port={self.ports.scheduler}",
                f"--kubeconfig={self.directory / 'scheduler.kubeconfig'}",
                "--leader-elect=false",
                "--profiling=false",
                "--kube-api-qps=100",
                "--kube-api-burst=200",
            ],
            self.ports.scheduler,
            64,
        )

    def _kwok(self) -> Service:
        stages = [f"--config={path}" for path in sorted(STAGES.glob("*.yaml"))]
        return self._service(
            "kwok",
            "kwok",
            [
                f"--kubeconfig={self.directory / 'kwok.kubeconfig'}",
                "--manage-all-nodes",
                f"--cidr={POD_RANGE}",
                f"--node-lease-duration-seconds={LEASE_SECONDS}",
                *stages,
            ],
            None,
            64,
        )


def merged_kubeconfig(configs: list[dict[str, Any]]) -> str:
    """One kubeconfig for several clusters; the last one's context is current.

    Args:
        configs: what `ControlPlane.kubeconfig` returned, oldest cluster first.
    """
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for part in ("clusters", "users", "contexts"):
        merged[part] = [entry for config in configs for entry in config[part]]
    merged["current-context"] = configs[-1]["current-context"] if configs else ""
    return yaml.safe_dump(merged, sort_keys=False)


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
