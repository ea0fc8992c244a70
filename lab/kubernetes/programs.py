"""The programs of a control plane and the flags they are started with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab import paths
from lab.ports import HOST
from lab.processes import Service

if TYPE_CHECKING:
    from lab.kubernetes.control_plane import ControlPlane

SERVICE_RANGE = "172.24.0.0/13"
"""Jetstream2's range of cluster addresses, so that addresses pinned for it work here."""

POD_RANGE = "172.16.0.1/13"

ADVERTISED = "192.0.2.1"
"""The API server will not advertise loopback. Nothing runs in the pods, so nobody dials this address."""

LEASE_SECONDS = 60
"""How long a node may miss its heartbeat before it counts as lost."""

SCHEDULER_FILE = "scheduler.yaml"
"""The scheduler's configuration, in the control plane's folder."""

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


def services(plane: ControlPlane) -> list[Service]:
    """The processes of a control plane, in the order in which they are started."""
    return [_etcd(plane), _apiserver(plane), _controller_manager(plane), _scheduler(plane), _kwok(plane)]


def _service(
    plane: ControlPlane, part: str, program: str, arguments: list[str], *, memory: int, ports: list[int]
) -> Service:
    """A service of the control plane; ``memory`` in MiB is where Go starts to collect harder."""
    return Service(
        name=f"{plane.name}-{part}",
        command=[str(paths.BIN / program), *arguments],
        # Go keeps up to twice what is in use; these limits trade some CPU for a third of the memory.
        environment={"GOGC": "50", "GOMEMLIMIT": f"{memory}MiB", "GOMAXPROCS": "2"},
        ports=ports,
        ready=plane.answers if part == "apiserver" else None,
        directory=plane.directory,
    )


def _etcd(plane: ControlPlane) -> Service:
    client = f"https://{HOST}:{plane.ports.etcd_client}"
    peer = f"https://{HOST}:{plane.ports.etcd_peer}"
    return _service(
        plane,
        "etcd",
        "etcd",
        [
            f"--data-dir={plane.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={plane.pki('etcd-ca.crt')}",
            f"--cert-file={plane.pki('etcd.crt')}",
            f"--key-file={plane.pki('etcd.key')}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={plane.pki('etcd-ca.crt')}",
            f"--peer-cert-file={plane.pki('etcd.crt')}",
            f"--peer-key-file={plane.pki('etcd.key')}",
            # Every commit is still written to the file before it is answered, so that a killed
            # process loses nothing; only a machine that loses power could.
            "--unsafe-no-fsync",
            "--snapshot-count=10000",
            "--log-level=warn",
        ],
        memory=96,
        ports=[plane.ports.etcd_client, plane.ports.etcd_peer],
    )


def _apiserver(plane: ControlPlane) -> Service:
    return _service(
        plane,
        "apiserver",
        "kube-apiserver",
        [
            f"--bind-address={HOST}",
            f"--secure-port={plane.ports.apiserver}",
            f"--advertise-address={ADVERTISED}",
            "--endpoint-reconciler-type=none",
            f"--etcd-servers=https://{HOST}:{plane.ports.etcd_client}",
            f"--etcd-cafile={plane.pki('etcd-ca.crt')}",
            f"--etcd-certfile={plane.pki('etcd-client.crt')}",
            f"--etcd-keyfile={plane.pki('etcd-client.key')}",
            f"--tls-cert-file={plane.pki('apiserver.crt')}",
            f"--tls-private-key-file={plane.pki('apiserver.key')}",
            f"--client-ca-file={plane.pki('ca.crt')}",
            "--authorization-mode=Node,RBAC",
            # Webhooks are served by pods, and the address of a pod leads nowhere here.
            "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={plane.pki('service-accounts.pub')}",
            f"--service-account-signing-key-file={plane.pki('service-accounts.key')}",
            "--event-ttl=1h",
            "--profiling=false",
        ],
        memory=240,
        ports=[plane.ports.apiserver],
    )


def _controller_manager(plane: ControlPlane) -> Service:
    config = plane.directory / "controller-manager.kubeconfig"
    return _service(
        plane,
        "controller-manager",
        "kube-controller-manager",
        [
            f"--bind-address={HOST}",
            f"--secure-port={plane.ports.controller_manager}",
            f"--kubeconfig={config}",
            "--leader-elect=false",
            f"--controllers=*,{','.join(f'-{name}' for name in OFF)}",
            "--use-service-account-credentials",
            f"--root-ca-file={plane.pki('ca.crt')}",
            f"--service-account-private-key-file={plane.pki('service-accounts.key')}",
            f"--cluster-signing-cert-file={plane.pki('ca.crt')}",
            f"--cluster-signing-key-file={plane.pki('ca.key')}",
            "--profiling=false",
            # KWOK renews a node's lease at a quarter of the time after which it is missed.
            f"--node-monitor-grace-period={LEASE_SECONDS}s",
            # The defaults suit a shared server; here they only make the first seconds slow.
            "--kube-api-qps=100",
            "--kube-api-burst=200",
        ],
        memory=80,
        ports=[plane.ports.controller_manager],
    )


def _scheduler(plane: ControlPlane) -> Service:
    return _service(
        plane,
        "scheduler",
        "kube-scheduler",
        [
            f"--bind-address={HOST}",
            f"--secure-port={plane.ports.scheduler}",
            # Credentials, profiles and all else: with a configuration, the flags for them are not read.
            f"--config={plane.directory / SCHEDULER_FILE}",
        ],
        memory=64,
        ports=[plane.ports.scheduler],
    )


def _kwok(plane: ControlPlane) -> Service:
    stages = [f"--config={path}" for path in sorted(STAGES.glob("*.yaml"))]
    return _service(
        plane,
        "kwok",
        "kwok",
        [
            f"--kubeconfig={plane.directory / 'kwok.kubeconfig'}",
            "--manage-all-nodes",
            f"--cidr={POD_RANGE}",
            f"--node-lease-duration-seconds={LEASE_SECONDS}",
            *stages,
        ],
        memory=64,
        ports=[],
    )
