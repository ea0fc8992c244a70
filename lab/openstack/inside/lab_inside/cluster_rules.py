"""What Jetstream2's Magnum driver accepts and how it reads labels, as pure functions."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

NAME = re.compile(r"^[a-z][a-z0-9\-]+[a-z0-9]$")

MINIMUM_VCPUS = 2
MINIMUM_RAM_MB = 2048
"""What kubeadm wants of a machine; m3.tiny with its one vCPU is too small."""

ACCEPTED = ("1", "true", "yes", "on", "t", "y")


class RuleError(ValueError):
    """The driver refuses this; the text ends up in Magnum's status_reason."""


def node_group_label(name: str) -> str:
    """The value of the nodes' label ``capi.stackhpc.com/node-group``: the name with dots as dashes.

    Raises:
        RuleError: if nodes cannot be named so.
    """
    label = name.replace(".", "-")
    if not NAME.match(label):
        raise RuleError(f"Node group name {name!r} does not match {NAME.pattern}.")
    return label


def check_flavor(name: str, vcpus: int, ram_mb: int) -> None:
    """Refuses a flavor that is too small for Kubernetes.

    Raises:
        RuleError: with the minimum that it misses.
    """
    if ram_mb < MINIMUM_RAM_MB:
        raise RuleError(
            f"Flavor {name} does not have enough RAM to run Kubernetes. Minimum {MINIMUM_RAM_MB} MB required."
        )
    if vcpus < MINIMUM_VCPUS:
        raise RuleError(
            f"Flavor {name} does not have enough CPU to run Kubernetes. "
            f"Minimum {MINIMUM_VCPUS} vcpus required."
        )


def merged_labels(template: Mapping[str, str] | None, cluster: Mapping[str, str] | None) -> dict[str, str]:
    """The labels that count: the template's, overridden by the cluster's. A node group's own never do."""
    return {**(template or {}), **(cluster or {})}


def is_on(labels: Mapping[str, str], label: str, default: bool) -> bool:
    """A label's truth; what is neither a yes nor there is the default."""
    text = str(labels.get(label, "")).strip().lower()
    return text in ACCEPTED if text else default


def as_count(labels: Mapping[str, str], label: str, default: int) -> int:
    """A label's whole number, or the default where it has none."""
    try:
        return int(labels[label])
    except (KeyError, ValueError):
        return default


def bounds(
    *,
    count: int,
    minimum: int | None,
    maximum: int | None,
    is_default_worker: bool,
    labels: Mapping[str, str],
) -> tuple[int, int]:
    """A group's bounds. For default-worker the cluster's labels win over the group's own fields.

    Args:
        count, minimum, maximum: the group's fields.
        is_default_worker: is it the group that every cluster has?
        labels: the cluster's labels.

    Raises:
        RuleError: if no node count can satisfy them.
    """
    low = count if minimum is None else minimum
    high = count if maximum is None else maximum
    if is_default_worker:
        # Magnum gives that group a minimum of 1 unasked, so a 1 does not count as chosen.
        low = as_count(labels, "min_node_count", count if minimum == 1 else low)
        high = as_count(labels, "max_node_count", high)
    if low < 1:
        raise RuleError("Min node count must be greater than or equal to 1 for all node groups.")
    if low > count:
        raise RuleError("Min node count must be less than or equal to current node count")
    if high < low:
        raise RuleError("Max node count must be greater than or equal to min node count")
    return low, high


def settled(status: str, *, ready: bool, failed: bool) -> str:
    """Magnum's status after a look at the group: ``*_IN_PROGRESS`` ends when it is ready or has failed."""
    action, in_progress, _ = status.partition("_IN_PROGRESS")
    if not in_progress:
        return status
    if failed:
        return f"{action}_FAILED"
    return f"{action}_COMPLETE" if ready else status


def is_late(created_at: datetime.datetime, timeout_minutes: int | None, now: datetime.datetime) -> bool:
    """Has a creation taken longer than its timeout? None or 0 minutes: it never has."""
    return bool(timeout_minutes) and now - created_at > datetime.timedelta(minutes=timeout_minutes or 0)
