"""The drive that all users see as /share, as a share of the cloud that nodes mount by CephFS."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pulumi
from pulumi_kubernetes import core
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_openstack import sharedfilesystem

from components.hub_values import Values
from components.hub_values.placement import on_core_node, requests

NAME = "manila-drive"
NAMESPACE = "ceph-csi"
CSI_DRIVER = "cephfs.csi.ceph.com"
CHART_REPOSITORY = "https://ceph.github.io/csi-charts"
CHART, CHART_VERSION = "ceph-csi-cephfs", "3.14.0"
"""Kubernetes has no CephFS of its own since 1.31."""

CLUSTER_ID = "manila"
"""What the driver's configuration and the volume call the cloud's Ceph."""

SHARE_TYPE = "cephfsnativetype"
"""Jetstream2's type of shares that are mounted by CephFS itself."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManilaDriveArgs:
    """What the share is made of.

    Attributes:
        share_name: its name in the cloud, and that of who may mount it.
        size_gib: its size.
        writable: whether users may write to it.
        protect: whether its deletion is refused.
        retain: whether the share outlives the stack.
        after: resources that must be there first, and be deleted last.
    """

    share_name: str
    size_gib: int
    writable: bool
    protect: bool
    retain: bool
    after: Sequence[pulumi.Resource]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Where a CephFS share is.

    Attributes:
        monitors: addresses of Ceph's monitors, each with its port.
        path: the share's folder.
    """

    monitors: list[str]
    path: str


class ManilaDrive(pulumi.ComponentResource):
    """A share, the right to mount it, the driver that does, and the volume as Kubernetes knows it."""

    persistent_volume: pulumi.Output[str]
    share_id: pulumi.Output[str]

    def __init__(self, name: str, args: ManilaDriveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"share_name": args.share_name, "size_gib": args.size_gib, "writable": args.writable}
        super().__init__("sciencegateway:manila_drive:ManilaDrive", name, inputs, opts)
        within = pulumi.ResourceOptions(parent=self)
        share = sharedfilesystem.Share(
            f"{name}-share",
            name=args.share_name,
            share_proto="CEPHFS",
            share_type=SHARE_TYPE,
            size=args.size_gib,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect, retain_on_delete=args.retain, depends_on=list(args.after)
            ),
        )
        access = sharedfilesystem.ShareAccess(
            f"{name}-access",
            share_id=share.id,
            access_type="cephx",
            access_to=args.share_name,
            access_level="rw" if args.writable else "ro",
            opts=within,
        )
        key: pulumi.Output[str] = pulumi.Output.secret(access.access_key)
        export = share.export_locations.apply(lambda found: export_of([str(each["path"]) for each in found]))
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=NAMESPACE),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        driver = Release(
            f"{name}-driver",
            name=CHART,
            chart=CHART,
            version=CHART_VERSION,
            repository_opts=RepositoryOptsArgs(repo=CHART_REPOSITORY),
            namespace=namespace.metadata["name"],
            values=export.apply(driver_values),
            cleanup_on_fail=True,
            opts=within,
        )
        secret = core.v1.Secret(
            f"{name}-key",
            metadata=ObjectMetaArgs(name=NAME, namespace=namespace.metadata["name"]),
            string_data={"userID": args.share_name, "userKey": key},
            opts=within,
        )
        volume = core.v1.PersistentVolume(
            f"{name}-persistent-volume",
            metadata=ObjectMetaArgs(name=args.share_name, annotations={"pulumi.com/skipAwait": "true"}),
            spec=core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": f"{args.size_gib}Gi"},
                access_modes=["ReadWriteMany"],
                # The share is deleted, or kept, by the program that made it.
                persistent_volume_reclaim_policy="Retain",
                storage_class_name="",
                csi=core.v1.CSIPersistentVolumeSourceArgs(
                    driver=CSI_DRIVER,
                    volume_handle=share.id,
                    volume_attributes={
                        "clusterID": CLUSTER_ID,
                        "staticVolume": "true",
                        "rootPath": export.apply(lambda found: found.path),
                    },
                    node_stage_secret_ref=core.v1.SecretReferenceArgs(
                        name=secret.metadata["name"], namespace=secret.metadata["namespace"]
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[driver], ignore_changes=["spec.capacity"]),
        )
        self.persistent_volume = volume.metadata["name"]
        self.share_id = share.id
        self.register_outputs({"persistent_volume": self.persistent_volume, "share_id": self.share_id})


def export_of(locations: Sequence[str]) -> Export:
    """Where a share is, from what Manila says: ``10.0.0.1:6789,10.0.0.2:6789:/volumes/_nogroup/1234``.

    Args:
        locations: the share's export locations; all lead to the same.

    Raises:
        ValueError: if there is none that can be mounted by CephFS.
    """
    for location in locations:
        monitors, slash, path = location.partition(":/")
        if slash and monitors:
            return Export(monitors=monitors.split(","), path=f"/{path}")
    raise ValueError(f"the share has no export location of the form MONITOR:PORT,…:/PATH, but {locations}")


def driver_values(export: Export) -> Values:
    """Values of the chart ceph-csi-cephfs, for shares that Manila makes: the driver only mounts.

    The chart has one setting for the plugin beside the provisioner and for that on every node, where whatever
    it asks for would be taken from users; so that one asks for nothing.
    """
    sidecars = ("provisioner", "resizer", "snapshotter")
    return {
        "csiConfig": [{"clusterID": CLUSTER_ID, "monitors": export.monitors}],
        "provisioner": {
            "replicaCount": 1,
            **on_core_node(),
            **{container: requests("10m", "32Mi") for container in sidecars},
        },
    }
