"""The drive that all users see as /share: a Cinder volume, served by NFS inside the cluster."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import apps, core
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_openstack import blockstorage

from components.hub_values.placement import CORE_GROUP, CORE_TOLERATION, on_group

IMAGE = "ghcr.io/2i2c-org/nfs-ganesha:1.2.0"
"""NFS Ganesha, a server in user space, as built and kept for the chart jupyterhub-home-nfs."""

NAME = "shared-drive"
NAMESPACE = "shared-drive"
"""Not the hub's: when that is deleted, users' pods must still reach the server, or they hang for ever."""

CSI_DRIVER = "cinder.csi.openstack.org"
EXPORT = "/export"
NFS_PORT = 2049
USER, GROUP = 1000, 100
"""Who users are in Jupyter's images, and so who owns what is on the drive."""

PREPARE = f"""set -e
mkdir -p {EXPORT}/raw
chown {USER}:{GROUP} {EXPORT} {EXPORT}/raw
chmod 2775 {EXPORT} {EXPORT}/raw
"""
"""The folder that the tutorials expect as ~/share/raw; what is in a folder belongs to the folder's group."""

SERVE = """mkdir -p /var/run/ganesha /var/lib/nfs/ganesha
exec ganesha.nfsd -F -L /dev/stdout -f /etc/ganesha/ganesha.conf -N NIV_EVENT
"""
"""The server alone: the image's own command also starts what only older versions of NFS need."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedDriveArgs:
    """What a shared drive is made of.

    Attributes:
        volume_name: its volume's name in the cloud.
        size_gib: its size; it can grow.
        writable: whether users may write to it.
        storage_class: the class of Cinder volumes in the cluster, by which it grows.
        protect: whether its deletion is refused.
        retain: whether the volume outlives the stack.
        after: resources that must be there first, and be deleted last.
    """

    volume_name: str
    size_gib: int
    writable: bool
    storage_class: str
    protect: bool
    retain: bool
    after: Sequence[pulumi.Resource]


class SharedDrive(pulumi.ComponentResource):
    """A volume of the program's own, and an NFS server on the core node that exports it.

    Who may not write to it through NFS still can in the server's pod, in ``/export``. That is how an operator
    fills a drive that users only read.
    """

    source: Mapping[str, Any]
    """What pods mount. By address: nodes mount it, and they do not know the cluster's names."""

    volume_id: pulumi.Output[str]

    def __init__(self, name: str, args: SharedDriveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"volume_name": args.volume_name, "size_gib": args.size_gib, "writable": args.writable}
        super().__init__("sciencegateway:shared_drive:SharedDrive", name, inputs, opts)
        within = pulumi.ResourceOptions(parent=self)
        volume = blockstorage.Volume(
            f"{name}-volume",
            name=args.volume_name,
            description="Data that all users of the gateway share",
            size=args.size_gib,
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
        about = ObjectMetaArgs(name=NAME, namespace=namespace.metadata["name"], labels=_LABELS)
        claim = self._claim(name, args, volume, about)
        text = ganesha(writable=args.writable)
        # Named by what is in it: another text is another ConfigMap, and with it another pod.
        mark = hashlib.sha256(text.encode()).hexdigest()[:8]
        config = core.v1.ConfigMap(
            f"{name}-config",
            metadata=ObjectMetaArgs(
                name=f"{NAME}-{mark}", namespace=namespace.metadata["name"], labels=_LABELS
            ),
            data={"ganesha.conf": text},
            immutable=True,
            opts=within,
        )
        apps.v1.Deployment(
            f"{name}-server",
            metadata=about,
            spec=apps.v1.DeploymentSpecArgs(
                replicas=1,
                # The volume can be held by one pod's node only.
                strategy=apps.v1.DeploymentStrategyArgs(type="Recreate"),
                selector=LabelSelectorArgs(match_labels=_LABELS),
                template=core.v1.PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=_LABELS), spec=_pod(claim, config)
                ),
            ),
            opts=within,
        )
        service = core.v1.Service(
            f"{name}-service",
            metadata=about,
            spec=core.v1.ServiceSpecArgs(
                selector=_LABELS,
                ports=[core.v1.ServicePortArgs(name="nfs", port=NFS_PORT, target_port=NFS_PORT)],
            ),
            opts=within,
        )
        self.source = {"nfs": {"server": service.spec.cluster_ip, "path": "/"}}
        self.volume_id = volume.id
        self.register_outputs({"source": self.source, "volume_id": self.volume_id})

    def _claim(
        self, name: str, args: SharedDriveArgs, volume: blockstorage.Volume, about: ObjectMetaArgs
    ) -> core.v1.PersistentVolumeClaim:
        """The volume as Kubernetes knows it."""
        size = {"storage": f"{args.size_gib}Gi"}
        within = pulumi.ResourceOptions(parent=self)
        persistent = core.v1.PersistentVolume(
            f"{name}-persistent-volume",
            metadata=ObjectMetaArgs(name=args.volume_name, labels=_LABELS, annotations=_UNWAITED),
            spec=core.v1.PersistentVolumeSpecArgs(
                capacity=size,
                access_modes=["ReadWriteOnce"],
                # The volume is deleted, or kept, by the program that made it.
                persistent_volume_reclaim_policy="Retain",
                # The class lets the claim grow, and the filesystem with it.
                storage_class_name=args.storage_class,
                csi=core.v1.CSIPersistentVolumeSourceArgs(
                    driver=CSI_DRIVER, volume_handle=volume.id, fs_type="ext4"
                ),
            ),
            # Once there, its size is the driver's to change.
            opts=pulumi.ResourceOptions.merge(
                within, pulumi.ResourceOptions(ignore_changes=["spec.capacity"])
            ),
        )
        return core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata=about,
            spec=core.v1.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=args.storage_class,
                volume_name=persistent.metadata["name"],
                resources=core.v1.VolumeResourceRequirementsArgs(requests=size),
            ),
            opts=within,
        )


def ganesha(*, writable: bool) -> str:
    """The server's configuration.

    Whether users may write is decided by the server: a pod's own mount could be got around.

    Args:
        writable: whether clients may write. Whoever does, it is written as Jupyter's user.
    """
    return f"""NFS_CORE_PARAM {{
    NFS_Port = {NFS_PORT};
    # Version 4 needs one port, and none of the daemons beside it that older versions do.
    Protocols = 4;
    Enable_UDP = false;
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}

NFSv4 {{
    Only_Numeric_Owners = true;
    # After a restart nobody can open files for this long; the first must be the shorter.
    Lease_Lifetime = 20;
    Grace_Period = 30;
}}

EXPORT {{
    Export_Id = 1;
    Path = {EXPORT};
    Pseudo = /;
    Protocols = 4;
    Transports = TCP;
    SecType = sys;
    Access_Type = {"RW" if writable else "RO"};
    Squash = All_Squash;
    Anonymous_Uid = {USER};
    Anonymous_Gid = {GROUP};
    FSAL {{
        Name = VFS;
    }}
}}
"""


_LABELS = {"app.kubernetes.io/name": NAME}
_UNWAITED = {"pulumi.com/skipAwait": "true"}


def _pod(claim: core.v1.PersistentVolumeClaim, config: core.v1.ConfigMap) -> core.v1.PodSpecArgs:
    export = core.v1.VolumeMountArgs(name="export", mount_path=EXPORT)
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        node_selector=on_group(CORE_GROUP),
        tolerations=[core.v1.TolerationArgs(**CORE_TOLERATION)],
        # If it is evicted, all users' programs that read from the drive stand still.
        priority_class_name="system-cluster-critical",
        init_containers=[
            core.v1.ContainerArgs(
                name="prepare", image=IMAGE, command=["/bin/sh", "-c", PREPARE], volume_mounts=[export]
            )
        ],
        containers=[
            core.v1.ContainerArgs(
                name="nfs-server",
                image=IMAGE,
                command=["/bin/sh", "-c", SERVE],
                ports=[core.v1.ContainerPortArgs(name="nfs", container_port=NFS_PORT)],
                readiness_probe=core.v1.ProbeArgs(
                    tcp_socket=core.v1.TCPSocketActionArgs(port=NFS_PORT), period_seconds=5
                ),
                resources=core.v1.ResourceRequirementsArgs(requests={"cpu": "200m", "memory": "512Mi"}),
                # To open files by their handles. A privileged container could do anything to the core node.
                security_context=core.v1.SecurityContextArgs(
                    capabilities=core.v1.CapabilitiesArgs(add=["DAC_READ_SEARCH"])
                ),
                volume_mounts=[
                    export,
                    core.v1.VolumeMountArgs(
                        name="config", mount_path="/etc/ganesha/ganesha.conf", sub_path="ganesha.conf"
                    ),
                ],
            )
        ],
        volumes=[
            core.v1.VolumeArgs(
                name="export",
                persistent_volume_claim=core.v1.PersistentVolumeClaimVolumeSourceArgs(
                    claim_name=claim.metadata["name"]
                ),
            ),
            core.v1.VolumeArgs(
                name="config", config_map=core.v1.ConfigMapVolumeSourceArgs(name=config.metadata["name"])
            ),
        ],
    )
