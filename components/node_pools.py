"""The users' node pools."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pulumi
from pulumi_openstack import containerinfra

TYPE = "sciencegateway:node_pools:NodePools"
"""The component's type, by which it is found in a stack's state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodePool:
    """One pool: a flavor, and the fewest and the most nodes of it."""

    flavor: str
    min: int
    max: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodePoolsArgs:
    """All pools of a cluster.

    Attributes:
        cluster: the Magnum cluster; when it goes, its groups go with it.
        pools: each pool by the name of its node group.
    """

    cluster: containerinfra.Cluster
    pools: Mapping[str, NodePool]


class NodePools(pulumi.ComponentResource):
    """Every pool as a node group of its own, bounded by the group's own fields.

    All of them are one component, so that a preview shows the old and the new plan of the pools at one place.
    """

    groups: Mapping[str, containerinfra.NodeGroup]

    def __init__(self, name: str, args: NodePoolsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        declared = {pool: dataclasses.asdict(plan) for pool, plan in sorted(args.pools.items())}
        super().__init__(TYPE, name, {"pools": declared}, opts)
        groups: dict[str, containerinfra.NodeGroup] = {}
        for pool_name, pool in sorted(args.pools.items()):
            groups[pool_name] = containerinfra.NodeGroup(
                f"{name}-{pool_name}",
                cluster_id=args.cluster.id,
                name=pool_name,
                flavor_id=pool.flavor,
                node_count=pool.min,
                min_node_count=pool.min,
                max_node_count=pool.max,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    # Magnum loses groups that are created or deleted at the same time. Each waits for all
                    # before it, not just for its neighbour, so that two deletions also have an order when a
                    # pool between them stays. An order alone is never a reason to change a group.
                    depends_on=list(groups.values()),
                    # The autoscaler owns the number of nodes once the group is there.
                    ignore_changes=["node_count"],
                    # Names are unique in a cluster.
                    delete_before_replace=True,
                    deleted_with=args.cluster,
                    custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m", delete="60m"),
                ),
            )
        self.groups = groups
        self.register_outputs({"pools": declared})
