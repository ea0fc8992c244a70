"""How volumes for homes and for the hub's database are made."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pulumi
from pulumi_kubernetes import storage
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

PROVISIONER = "cinder.csi.openstack.org"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageClassArgs:
    """What a storage class says.

    Attributes:
        name: its name, to which claims refer; never changes, since a claim's class cannot.
        reclaim_policy: what happens to a volume when its claim is deleted.
        cluster: the cluster that holds the class; when it goes, the class goes with it.
    """

    name: str
    reclaim_policy: Literal["Delete", "Retain"]
    cluster: pulumi.Resource


class StorageClass(pulumi.ComponentResource):
    """Cinder volumes with a reclaim policy of our choice: the cluster's own class always retains."""

    def __init__(self, name: str, args: StorageClassArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"name": args.name, "reclaim_policy": args.reclaim_policy}
        super().__init__("sciencegateway:storage_class:StorageClass", name, inputs, opts)
        storage.v1.StorageClass(
            f"{name}-storage-class",
            metadata=ObjectMetaArgs(name=args.name),
            provisioner=PROVISIONER,
            reclaim_policy=args.reclaim_policy,
            # Bound when a pod is placed, so that the volume is made where the pod's node can reach it.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            # A class cannot be edited, and its name is fixed. Volumes made earlier keep their own policy.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, deleted_with=args.cluster),
        )
        self.register_outputs({})
