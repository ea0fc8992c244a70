"""Copies of the hub's database: on a schedule, and before its chart is upgraded."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import pulumi
from pulumi_command import local
from pulumi_kubernetes import batch, core
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.hub_values.placement import CORE_GROUP, CORE_TOLERATION, on_group

CRON_JOB = "hub-backup"
DATABASE_CLAIM = "hub-db-dir"
"""The names by which `operations.hub_cluster` finds them; the second is the chart's."""

HUB_USER = 1000
"""User and group of the chart's hub, to whom its database belongs."""

DATABASE, COPIES, PROGRAM = "/srv/jupyterhub", "/var/lib/hub-backup", "/app"
LABELS = {"app.kubernetes.io/name": CRON_JOB}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubBackupArgs:
    """How the database is backed up.

    Attributes:
        namespace: the hub's; what is here waits for it.
        kubeconfig: credentials of the cluster.
        program: the text of the Python program that copies and restores.
        image: a container image with Python 3.11 or later; the hub's own is on its node already.
        schedule: when, as five fields of cron in UTC.
        keep: how many copies are kept.
        size_gib: size of the volume of the copies.
        storage_class: how that volume is made.
        releases: what names the hub's release, such as its chart's version. A change makes a copy first.
        protect: whether deletion of the copies is refused.
    """

    namespace: pulumi.Input[str]
    kubeconfig: pulumi.Output[str]
    program: str
    image: str
    schedule: str
    keep: int
    size_gib: int
    storage_class: str
    releases: Sequence[str]
    protect: bool


class HubBackup(pulumi.ComponentResource):
    """A CronJob on the hub's node, since its database's volume can be held by one node only.

    The copies are on a volume of their own.
    """

    before_upgrade: pulumi.Resource
    """What an upgrade of the hub has to wait for: it fails if there is a database and it cannot be copied."""

    def __init__(self, name: str, args: HubBackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"schedule": args.schedule, "keep": args.keep, "size_gib": args.size_gib}
        super().__init__("sciencegateway:hub_backup:HubBackup", name, inputs, opts)
        within = pulumi.ResourceOptions(parent=self)
        claim = core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata=ObjectMetaArgs(
                name=CRON_JOB,
                namespace=args.namespace,
                labels=LABELS,
                # Bound by the first pod that uses it, which may be a day away.
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            spec=core.v1.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=args.storage_class,
                resources=core.v1.VolumeResourceRequirementsArgs(requests={"storage": f"{args.size_gib}Gi"}),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        # Named by what is in it: another text is another ConfigMap.
        mark = hashlib.sha256(args.program.encode()).hexdigest()[:8]
        program = core.v1.ConfigMap(
            f"{name}-program",
            metadata=ObjectMetaArgs(name=f"{CRON_JOB}-{mark}", namespace=args.namespace, labels=LABELS),
            data={"hub_database.py": args.program},
            immutable=True,
            opts=within,
        )
        cron_job = batch.v1.CronJob(
            f"{name}-cron-job",
            metadata=ObjectMetaArgs(name=CRON_JOB, namespace=args.namespace, labels=LABELS),
            spec=batch.v1.CronJobSpecArgs(
                schedule=args.schedule,
                time_zone="Etc/UTC",
                concurrency_policy="Forbid",
                # A copy that is an hour late is better than none; one for each missed night is of no use.
                starting_deadline_seconds=3600,
                successful_jobs_history_limit=1,
                failed_jobs_history_limit=3,
                job_template=batch.v1.JobTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=LABELS),
                    spec=batch.v1.JobSpecArgs(
                        backoff_limit=1,
                        active_deadline_seconds=1800,
                        template=core.v1.PodTemplateSpecArgs(
                            metadata=ObjectMetaArgs(labels=LABELS), spec=_pod(args, claim, program)
                        ),
                    ),
                ),
            ),
            opts=within,
        )
        self.before_upgrade = local.Command(
            f"{name}-before-upgrade",
            create=pulumi.Output.concat(
                "python -m operations.hub_backup before-upgrade --namespace ", args.namespace
            ),
            environment={"KUBECONFIG_TEXT": args.kubeconfig},
            triggers=list(args.releases),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cron_job]),
        )
        self.register_outputs({})


def _pod(
    args: HubBackupArgs, claim: core.v1.PersistentVolumeClaim, program: core.v1.ConfigMap
) -> core.v1.PodSpecArgs:
    environment = {
        "HUB_DATABASE": f"{DATABASE}/jupyterhub.sqlite",
        "HUB_BACKUPS": COPIES,
        "HUB_BACKUPS_KEPT": str(args.keep),
        "HUB_BACKUP_REPORT": "/dev/termination-log",
        # The one folder of the pod in which SQLite may write.
        "SQLITE_TMPDIR": COPIES,
    }
    return core.v1.PodSpecArgs(
        restart_policy="Never",
        automount_service_account_token=False,
        enable_service_links=False,
        node_selector=on_group(CORE_GROUP),
        tolerations=[core.v1.TolerationArgs(**CORE_TOLERATION)],
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=HUB_USER,
            run_as_group=HUB_USER,
            fs_group=HUB_USER,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        containers=[
            core.v1.ContainerArgs(
                name="hub-backup",
                image=args.image,
                command=["python3"],
                args=[f"{PROGRAM}/hub_database.py", "backup"],
                env=[core.v1.EnvVarArgs(name=key, value=value) for key, value in environment.items()],
                resources=core.v1.ResourceRequirementsArgs(
                    requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "512Mi"}
                ),
                security_context=core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
                volume_mounts=[
                    # Only a restore writes to it; `operations.hub_cluster` finds this mount by its name.
                    core.v1.VolumeMountArgs(name="database", mount_path=DATABASE, read_only=True),
                    core.v1.VolumeMountArgs(name="copies", mount_path=COPIES),
                    core.v1.VolumeMountArgs(name="program", mount_path=PROGRAM, read_only=True),
                ],
            )
        ],
        volumes=[
            core.v1.VolumeArgs(
                name="database",
                persistent_volume_claim=core.v1.PersistentVolumeClaimVolumeSourceArgs(
                    claim_name=DATABASE_CLAIM
                ),
            ),
            core.v1.VolumeArgs(
                name="copies",
                persistent_volume_claim=core.v1.PersistentVolumeClaimVolumeSourceArgs(
                    claim_name=claim.metadata["name"]
                ),
            ),
            core.v1.VolumeArgs(
                name="program",
                config_map=core.v1.ConfigMapVolumeSourceArgs(name=program.metadata["name"]),
            ),
        ],
    )
