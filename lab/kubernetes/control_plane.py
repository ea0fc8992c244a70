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

from lab import processes
from lab.errors import LabError
from lab.kubernetes import certificates, programs, scheduler_profiles
from lab.ports import HOST, ClusterPorts
from lab.private_files import write_private
from lab.processes import Service

VERSION = "v1.33.1"
"""The Kubernetes that the lab's toolchain builds."""

SERVING_NAMES = (
    HOST,
    "172.24.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

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
        """Issues what is missing of certificates, keys and configurations; a second call changes nothing.

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
        profiles = scheduler_profiles.configuration(self.directory / "scheduler.kubeconfig")
        write_private(self.directory / programs.SCHEDULER_FILE, profiles)
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
        return programs.services(self)

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
