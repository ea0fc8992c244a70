"""Room kept warm in the pools: pods that do nothing, and make way for the first user who needs their node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import apps, core, scheduling
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from components.hub_values.placement import on_group

IMAGE = "registry.k8s.io/pause:3.10"
"""The image that holds every pod together: nodes have it already."""

PRIORITY = -10
"""Below all users (0) and the image pullers (-5), and just not below the autoscaler's cutoff
(``expendable-pods-priority-cutoff``, -10): for pods of a lower priority it adds no node."""

PRIORITY_CLASS = "gateway-placeholder"
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """What a node has for its users, all of them together: memory in MiB, and CPUs."""

    memory_mib: int
    cpus: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlaceholdersArgs:
    """What is kept warm.

    Attributes:
        namespace: the hub's.
        pools: what one node of each pool has for its users, by the pool's name.
        replicas: nodes kept warm in each pool; 0 for none.
        scheduler: what places users' pods. Placeholders take the same one: two schedulers may promise the
            same room twice.
    """

    namespace: pulumi.Input[str]
    pools: Mapping[str, Room]
    replicas: int
    scheduler: str


class Placeholders(pulumi.ComponentResource):
    """Node-sized pods of low priority, as many in each pool as nodes are to be kept warm.

    A user's pod that finds no room evicts one and starts at once; the placeholder then waits, and the
    autoscaler makes a node for it. One of a node's size rather than many of a user's: after the first
    eviction, the next users would take the small ones' places on a node that is still starting.
    """

    def __init__(self, name: str, args: PlaceholdersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"replicas": args.replicas, "pools": sorted(args.pools)}
        super().__init__("sciencegateway:placeholders:Placeholders", name, inputs, opts)
        if args.replicas > 0:
            priority = scheduling.v1.PriorityClass(
                f"{name}-priority",
                metadata=ObjectMetaArgs(name=PRIORITY_CLASS),
                value=PRIORITY,
                preemption_policy="Never",
                description="Pods that hold room for users and make way for everyone.",
                # Its value and policy are fixed for life, and so is its name.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
            for pool, room in sorted(args.pools.items()):
                self._hold(f"{name}-{pool}", args, pool, room, priority.metadata["name"])
        self.register_outputs({})

    def _hold(
        self, name: str, args: PlaceholdersArgs, pool: str, room: Room, priority: pulumi.Output[str]
    ) -> None:
        # Never the label `component: singleuser-server`, by which the chart's network policies find users.
        labels = {"app.kubernetes.io/name": PRIORITY_CLASS, "gateway/pool": pool}
        apps.v1.Deployment(
            name,
            metadata=ObjectMetaArgs(
                name=f"placeholder-{pool}",
                namespace=args.namespace,
                labels=labels,
                # One that waits for a node, as it may for hours in a full pool, is as it should be.
                annotations=SKIP_AWAIT,
            ),
            spec=apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=LabelSelectorArgs(match_labels=labels),
                # Without surge: a second set of placeholders would ask for as many nodes once more.
                strategy=apps.v1.DeploymentStrategyArgs(type="Recreate"),
                template=core.v1.PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=labels),
                    spec=core.v1.PodSpecArgs(
                        node_selector=on_group(pool),
                        scheduler_name=args.scheduler,
                        priority_class_name=priority,
                        # A user waits for it to go.
                        termination_grace_period_seconds=0,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        security_context=core.v1.PodSecurityContextArgs(
                            run_as_non_root=True,
                            run_as_user=65534,
                            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
                        ),
                        containers=[
                            core.v1.ContainerArgs(
                                name="pause",
                                image=IMAGE,
                                resources=core.v1.ResourceRequirementsArgs(requests=requests(room)),
                                security_context=core.v1.SecurityContextArgs(
                                    allow_privilege_escalation=False,
                                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
                                ),
                            )
                        ],
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )


def requests(room: Room) -> dict[str, str]:
    """The whole room as a pod's request, in Kubernetes' spelling."""
    return {"cpu": f"{round(room.cpus * 1000)}m", "memory": f"{room.memory_mib}Mi"}
