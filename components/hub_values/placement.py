"""Which pods run on which nodes."""

from __future__ import annotations

from typing import TypedDict

from components.hub_values import Values

NODE_GROUP_LABEL = "capi.stackhpc.com/node-group"
"""The only label that Magnum's driver puts on nodes; labels set by hand are gone when a node is replaced."""

CORE_GROUP = "default-worker"
"""The group that every Magnum cluster has: it carries the hub."""

CORE_TAINT = {"key": "hub.jupyter.org/dedicated", "value": "core", "effect": "NoSchedule"}
"""Keeps users' pods from the core node."""


class Toleration(TypedDict):
    """A toleration in Kubernetes' own words."""

    operator: str
    key: str
    value: str
    effect: str


CORE_TOLERATION: Toleration = {
    "operator": "Equal",
    "key": CORE_TAINT["key"],
    "value": CORE_TAINT["value"],
    "effect": CORE_TAINT["effect"],
}
"""What a pod needs to run there all the same."""


def on_group(group: str) -> dict[str, str]:
    """The node selector for one node group."""
    return {NODE_GROUP_LABEL: group}


def on_core_node() -> Values:
    """Selector and toleration as most charts take them: the core node, and no other."""
    return {"nodeSelector": on_group(CORE_GROUP), "tolerations": [CORE_TOLERATION]}


def requests(cpu: str, memory: str) -> Values:
    """What a container asks for, as charts take it: without, it is the first to be evicted in need."""
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}


def placement_values() -> Values:
    """Core pods on the core node, users' pods on the pools."""
    core = {"nodeSelector": on_group(CORE_GROUP)}
    # Said without the pools' names, so that one more pool is no reason to upgrade the hub.
    any_pool = {
        "matchExpressions": [
            {"key": NODE_GROUP_LABEL, "operator": "Exists"},
            {"key": NODE_GROUP_LABEL, "operator": "NotIn", "values": [CORE_GROUP]},
        ]
    }
    # The chart's own labels for a node's purpose are not on Magnum's nodes.
    ignored = {"nodeAffinity": {"matchNodePurpose": "ignore"}}
    # Of a pod that is alone, a budget of 1 would stop every drain, and with it every upgrade of the node.
    movable = {"pdb": {"enabled": True, "minAvailable": 0}}
    return {
        # Without requests, hub and proxy are the first to be evicted when the node runs short.
        "hub": {**core, **movable, **requests("500m", "1Gi")},
        "proxy": {
            "chp": {**core, **movable, **requests("200m", "512Mi")},
            "traefik": core,
        },
        "scheduling": {
            "corePods": {**ignored, "tolerations": [CORE_TOLERATION]},
            "userPods": ignored,
            "userScheduler": {
                # Packs users onto the fullest node, so that others empty and the autoscaler removes them.
                "enabled": True,
                # Two, and one always there: without a scheduler nobody's server starts.
                "replicas": 2,
                "pdb": {"enabled": True, "maxUnavailable": 1},
                **core,
                **requests("50m", "256Mi"),
            },
            # Users' pods outrank the spare ones that keep room warm. Those are not the chart's: it has one
            # kind for all pools, and each pool needs its own.
            "podPriority": {"enabled": True},
            "userPlaceholder": {"enabled": False},
        },
        # An affinity, not a node selector: image pullers follow it too, and have to reach every pool.
        "singleuser": {"extraNodeAffinity": {"required": [any_pool]}},
        # The pullers themselves ask for nothing: on a pool's node it would be taken from its users.
        "prePuller": {
            "hook": {"enabled": True, **core, **requests("10m", "64Mi")},
            "continuous": {"enabled": True},
        },
    }
