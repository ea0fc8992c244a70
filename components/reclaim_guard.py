"""Keeps the cluster until what its deletion would orphan is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pulumi
from pulumi_command import local


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReclaimGuardArgs:
    """What the guard stands before.

    Attributes:
        kubeconfig: credentials of the cluster, to see what is left in it.
        keeps: resources that take part in deleting volumes, and so are deleted after the guard only.
    """

    kubeconfig: pulumi.Output[str]
    keeps: Sequence[pulumi.Resource]


class ReclaimGuard(pulumi.ComponentResource):
    """Does nothing until destroyed; then waits for load balancers and deletable volumes to be gone.

    Volumes and floating addresses are removed by controllers inside the cluster. A cluster deleted too early
    leaves them behind in the project, where they count against its quota. What makes volumes or load
    balancers must therefore depend on the guard.
    """

    def __init__(self, name: str, args: ReclaimGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sciencegateway:reclaim_guard:ReclaimGuard", name, {}, opts)
        local.Command(
            f"{name}-wait",
            delete="python -m operations.reclaim",
            # By environment: arguments can be read by every process of the machine.
            environment={"KUBECONFIG_TEXT": args.kubeconfig},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.keeps),
                custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
            ),
        )
        self.register_outputs({})
