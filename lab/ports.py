"""Every port the lab listens on, in one table. All of them are bound to loopback only."""

from __future__ import annotations

import dataclasses

HOST = "127.0.0.1"

OPENSTACK: dict[str, int] = {
    "keystone": 5000,
    "cinder": 8776,
    "nova": 8774,
    "placement": 8778,
    "glance": 9292,
    "magnum": 9511,
    "neutron": 9696,
    "designate": 9002,
}
"""OpenStack's own well-known ports, so that addresses read as they do on a real cloud.

All but Designate's, which is 9001: there Jetstream2 has its accounting.
"""

ACCOUNTING = 9001
"""The port of Jetstream2's accounting API."""

NAME_SERVER = 5354
"""Where Designate's own name server answers, by TCP and UDP: its well-known port."""

ACME = 14000
"""Where Pebble, the lab's certificate authority, answers: its well-known port."""

RESOLVER = 8053
"""Where the name server answers that the authority asks."""

WEB = 5002
"""Where the authority finds every host's port 80: what Pebble takes for it, as 80 itself is not ours."""

CLUSTER_BASE = 17000
PORTS_PER_CLUSTER = 10
MAX_CLUSTERS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterPorts:
    """The ports of one cluster's control plane."""

    apiserver: int
    etcd_client: int
    etcd_peer: int
    controller_manager: int
    scheduler: int


def cluster_ports(slot: int) -> ClusterPorts:
    """The ports of the cluster in a slot.

    Args:
        slot: 0 to ``MAX_CLUSTERS`` - 1; a cluster keeps its slot for life.

    Raises:
        ValueError: if the slot is outside that range.
    """
    if not 0 <= slot < MAX_CLUSTERS:
        raise ValueError(f"cluster slot {slot} is outside 0 to {MAX_CLUSTERS - 1}")
    base = CLUSTER_BASE + slot * PORTS_PER_CLUSTER
    return ClusterPorts(
        apiserver=base,
        etcd_client=base + 1,
        etcd_peer=base + 2,
        controller_manager=base + 3,
        scheduler=base + 4,
    )
