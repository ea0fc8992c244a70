"""Clears the way for the hub's removal."""

from __future__ import annotations

import dataclasses

import pulumi
from pulumi_command import local


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubRemovalArgs:
    """What is to be removed without delay.

    Attributes:
        namespace: the hub's.
        kubeconfig: credentials of the cluster.
        hub: the hub's release.
    """

    namespace: pulumi.Input[str]
    kubeconfig: pulumi.Output[str]
    hub: pulumi.Resource


class HubRemoval(pulumi.ComponentResource):
    """Does nothing until destroyed, which is before the hub is; then removes the Jobs of its copies.

    Helm waits until the claim of the hub's database is gone, and Kubernetes keeps that claim for as long as a
    pod names it: the last night's Job would hold the release until Helm gives up.
    """

    def __init__(self, name: str, args: HubRemovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sciencegateway:hub_removal:HubRemoval", name, {}, opts)
        local.Command(
            f"{name}-jobs",
            delete=pulumi.Output.concat(
                "python -m operations.hub_backup remove-jobs --namespace ", args.namespace
            ),
            environment={"KUBECONFIG_TEXT": args.kubeconfig},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.hub]),
        )
        self.register_outputs({})
