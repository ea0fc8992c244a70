"""Which pods run on which nodes."""

from __future__ import annotations

from components.hub_values import Values

NODE_GROUP_LABEL = "capi.stackhpc.com/node-group"
"""The only label that Magnum's driver puts on nodes; labels set by hand are gone when a node is replaced."""

CORE_GROUP = "default-worker"
"""The group that every Magnum cluster has: it carries the hub."""


def on_group(group: str) -> dict[str, str]:
    """The node selector for one node group."""
    return {NODE_GROUP_LABEL: group}


def placement_values(*, placeholder_pool: str, placeholders: int) -> Values:
    """Core pods on the core node, users' pods on the pools.

    Args:
        placeholder_pool: the pool in which seats are kept warm.
        placeholders: how many seats; a user who needs one takes it, and the autoscaler makes another.
    """
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
    return {
        # Without requests, hub and proxy are the first to be evicted when the node runs short.
        "hub": {**core, "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
        "proxy": {
            "chp": {**core, "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}}},
            "traefik": core,
        },
        "scheduling": {
            "corePods": ignored,
            "userPods": ignored,
            # Packs users onto the fullest node, so that others empty and the autoscaler removes them.
            "userScheduler": {"enabled": True, **core},
            "podPriority": {"enabled": True},
            "userPlaceholder": {
                "enabled": placeholders > 0,
                "replicas": placeholders,
                "extraPodSpec": {"nodeSelector": on_group(placeholder_pool)},
            },
        },
        # An affinity, not a node selector: image pullers follow it too, and have to reach every pool.
        "singleuser": {"extraNodeAffinity": {"required": [any_pool]}},
        "prePuller": {"hook": {"enabled": True, **core}, "continuous": {"enabled": True}},
    }
