"""The hub's namespace, and the claims in it to volumes that are there before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes import core
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claimed:
    """A PersistentVolume for all pods of the namespace.

    Attributes:
        volume: its name.
        size_gib: its size.
    """

    volume: pulumi.Output[str]
    size_gib: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubNamespaceArgs:
    """What the namespace is made of.

    Attributes:
        namespace: its name.
        claims: names of claims, and what they are bound to.
        protect: whether deletion of the namespace, and all homes with it, is refused.
        after: resources that must be there first and be deleted last, such as the servers of what is claimed.
    """

    namespace: str
    claims: Mapping[str, Claimed]
    protect: bool
    after: Sequence[pulumi.Resource]


class HubNamespace(pulumi.ComponentResource):
    """Where the hub, its users' servers and their homes are."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: HubNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"namespace": args.namespace, "claims": sorted(args.claims)}
        super().__init__("sciencegateway:hub_namespace:HubNamespace", name, inputs, opts)
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=args.namespace),
            # Not deleted with the cluster: inside are the claims of all homes, whose volumes would stay.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=list(args.after)),
        )
        for claim, claimed in args.claims.items():
            core.v1.PersistentVolumeClaim(
                f"{name}-{claim}",
                metadata=ObjectMetaArgs(name=claim, namespace=namespace.metadata["name"]),
                spec=core.v1.PersistentVolumeClaimSpecArgs(
                    access_modes=["ReadWriteMany"],
                    storage_class_name="",
                    volume_name=claimed.volume,
                    resources=core.v1.VolumeResourceRequirementsArgs(
                        requests={"storage": f"{claimed.size_gib}Gi"}
                    ),
                ),
                # By itself it could not be deleted while a user's server runs; with the namespace go both.
                opts=pulumi.ResourceOptions(
                    parent=self, deleted_with=namespace, ignore_changes=["spec.resources"]
                ),
            )
        self.namespace = namespace.metadata["name"]
        self.register_outputs({"namespace": self.namespace})
