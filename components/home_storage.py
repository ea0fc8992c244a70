"""All homes on one Cinder volume, served by NFS, with a quota for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pulumi
from pulumi_kubernetes import core
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_openstack import blockstorage

from components.hub_values import Values
from components.hub_values.placement import on_core_node, requests

RELEASE = "home-nfs"
NAMESPACE = "home-nfs"
"""Not the hub's: when that is deleted, users' pods must still reach the server, or they hang for ever."""

SERVER = {"app": "nfs-server"}
"""The label that the chart gives to its server's pod."""

NFS_PORT = 2049
MOUNT_OPTIONS = ["vers=4.1", "proto=tcp", "hard", "timeo=600", "retrans=2", "noresvport", "noatime"]
"""Wait for a server that is away for as long as it takes: an error would lose what users are writing."""

USER, GROUP = 1000, 100
"""Who users are in Jupyter's images; whatever is written through NFS belongs to them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HomeStorageArgs:
    """What holds the homes.

    Attributes:
        volume_name: the volume's name in the cloud.
        size_gib: its size, for all homes together; it can grow.
        quota_gib: what one user may use of it.
        chart: name, folder or address of the chart jupyterhub-home-nfs.
        repository: address of its repository, if it is named.
        version: its version; None for a folder.
        protect: whether deletion of the homes is refused.
        retain: whether the volume outlives the stack.
        after: resources that must be there first, and be deleted last.
    """

    volume_name: str
    size_gib: int
    quota_gib: int
    chart: str
    repository: str | None
    version: str | None
    protect: bool
    retain: bool
    after: Sequence[pulumi.Resource]


class HomeStorage(pulumi.ComponentResource):
    """One volume instead of one for each user: no waiting for attachments, at the price of one server."""

    persistent_volume: pulumi.Output[str]
    """All homes as Kubernetes knows them: a volume that any number of pods can mount."""

    volume_id: pulumi.Output[str]

    def __init__(self, name: str, args: HomeStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "volume_name": args.volume_name,
            "size_gib": args.size_gib,
            "quota_gib": args.quota_gib,
            "chart": {"chart": args.chart, "version": args.version},
        }
        super().__init__("sciencegateway:home_storage:HomeStorage", name, inputs, opts)
        volume = blockstorage.Volume(
            f"{name}-volume",
            name=args.volume_name,
            description="Homes of the gateway's users",
            size=args.size_gib,
            # The chart grows the filesystem when the volume has grown.
            enable_online_resize=True,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect, retain_on_delete=args.retain, depends_on=list(args.after)
            ),
        )
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=NAMESPACE),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        release = Release(
            f"{name}-release",
            name=RELEASE,
            chart=args.chart,
            version=args.version,
            repository_opts=None if args.repository is None else RepositoryOptsArgs(repo=args.repository),
            namespace=namespace.metadata["name"],
            values=home_nfs_values(volume_id=volume.id, quota_gib=args.quota_gib),
            cleanup_on_fail=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        service = core.v1.Service(
            f"{name}-service",
            # The chart's own Service would get another address with each installation, and users would hang.
            metadata=ObjectMetaArgs(name="homes", namespace=namespace.metadata["name"]),
            spec=core.v1.ServiceSpecArgs(
                selector=SERVER,
                ports=[core.v1.ServicePortArgs(name="nfs", port=NFS_PORT, target_port=NFS_PORT)],
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
        )
        homes = core.v1.PersistentVolume(
            f"{name}-persistent-volume",
            metadata=ObjectMetaArgs(name=args.volume_name, annotations={"pulumi.com/skipAwait": "true"}),
            spec=core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": f"{args.size_gib}Gi"},
                access_modes=["ReadWriteMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name="",
                mount_options=MOUNT_OPTIONS,
                # By address: nodes mount it, and they do not know the cluster's names.
                nfs=core.v1.NFSVolumeSourceArgs(server=service.spec.cluster_ip, path="/"),
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["spec.capacity"]),
        )
        self.persistent_volume = homes.metadata["name"]
        self.volume_id = volume.id
        self.register_outputs({"persistent_volume": self.persistent_volume, "volume_id": self.volume_id})


def home_nfs_values(*, volume_id: pulumi.Input[str], quota_gib: int) -> Values:
    """Values of the chart jupyterhub-home-nfs.

    Args:
        volume_id: the Cinder volume's.
        quota_gib: a home's greatest size; writing more fails for that user alone.
    """
    return {
        "fullnameOverride": "",
        "openstack": {"enabled": True, "volumeId": volume_id},
        "nfsServer": requests("200m", "512Mi"),
        "quotaEnforcer": {
            "enabled": True,
            **requests("50m", "128Mi"),
            "config": {
                "QuotaManager": {
                    "paths": ["/export"],
                    "hard_quota": quota_gib,
                    "uid": USER,
                    "gid": GROUP,
                }
            },
        },
        "autoResizer": {"enabled": True, **requests("10m", "32Mi")},
        "prometheusExporter": {"enabled": True, **requests("10m", "32Mi")},
        **on_core_node(),
    }
