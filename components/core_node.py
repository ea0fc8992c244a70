"""The core node's label and taint, kept by a small program inside the cluster."""

from __future__ import annotations

import dataclasses
import hashlib

import pulumi
from pulumi_kubernetes import apps, core, rbac
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from components.hub_values.placement import CORE_GROUP, on_group

IMAGE = "python:3.13.5-alpine"
"""A plain Python: the program needs nothing else."""

NAMESPACE = "kube-system"
"""Beside the cluster's other caretakers: it is there before, and stays after, the hub's own namespace."""

FULL_NAME = "gateway-core-node"
PROGRAM, STATE = "/app", "/run/core-node"
CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
NOBODY = 65534


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoreNodeArgs:
    """What keeps the core node.

    Attributes:
        program: the text of the Python program to run.
        cluster: the cluster that holds it; when it goes, all this goes with it.
        image: a container image with Python 3.11 or later.
    """

    program: str
    cluster: pulumi.Resource
    image: str = IMAGE


class CoreNode(pulumi.ComponentResource):
    """Label ``hub.jupyter.org/node-purpose`` and taint ``hub.jupyter.org/dedicated`` of the core group.

    Taking it out of the program takes neither of them off a node; a node's replacement does.
    """

    ready: pulumi.Output[str]
    """Its Deployment's name, known once every node of the core group has its label and its taint."""

    def __init__(self, name: str, args: CoreNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sciencegateway:core_node:CoreNode", name, {"image": args.image}, opts)
        within = pulumi.ResourceOptions(parent=self, deleted_with=args.cluster)
        labels = {"app.kubernetes.io/name": FULL_NAME}
        about = ObjectMetaArgs(name=FULL_NAME, namespace=NAMESPACE, labels=labels)
        account = core.v1.ServiceAccount(f"{name}-account", metadata=about, opts=within)
        role = rbac.v1.ClusterRole(
            f"{name}-role",
            metadata=ObjectMetaArgs(name=FULL_NAME, labels=labels),
            # Nodes come and go, so they cannot be named here.
            rules=[
                rbac.v1.PolicyRuleArgs(
                    api_groups=[""], resources=["nodes"], verbs=["get", "list", "watch", "patch"]
                )
            ],
            opts=within,
        )
        binding = rbac.v1.ClusterRoleBinding(
            f"{name}-binding",
            metadata=ObjectMetaArgs(name=FULL_NAME, labels=labels),
            role_ref=rbac.v1.RoleRefArgs(
                api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=role.metadata["name"]
            ),
            subjects=[
                rbac.v1.SubjectArgs(kind="ServiceAccount", name=account.metadata["name"], namespace=NAMESPACE)
            ],
            opts=within,
        )
        # Named by what is in it: another text is another ConfigMap, and with it another pod.
        text = hashlib.sha256(args.program.encode()).hexdigest()[:8]
        program = core.v1.ConfigMap(
            f"{name}-program",
            metadata=ObjectMetaArgs(name=f"{FULL_NAME}-{text}", namespace=NAMESPACE, labels=labels),
            data={"core_node.py": args.program},
            immutable=True,
            opts=within,
        )
        deployment = apps.v1.Deployment(
            f"{name}-deployment",
            metadata=about,
            spec=apps.v1.DeploymentSpecArgs(
                replicas=1,
                selector=LabelSelectorArgs(match_labels=labels),
                template=core.v1.PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=labels), spec=_pod(args.image, account, program)
                ),
            ),
            opts=pulumi.ResourceOptions.merge(within, pulumi.ResourceOptions(depends_on=[binding])),
        )
        self.ready = deployment.metadata["name"]
        self.register_outputs({"ready": self.ready})


def _pod(image: str, account: core.v1.ServiceAccount, program: core.v1.ConfigMap) -> core.v1.PodSpecArgs:
    return core.v1.PodSpecArgs(
        service_account_name=account.metadata["name"],
        node_selector=on_group(CORE_GROUP),
        # It has to run on a node whatever is wrong with it: the taints it puts there included.
        tolerations=[core.v1.TolerationArgs(operator="Exists")],
        priority_class_name="system-cluster-critical",
        termination_grace_period_seconds=5,
        enable_service_links=False,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=NOBODY,
            run_as_group=NOBODY,
            fs_group=NOBODY,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        containers=[
            core.v1.ContainerArgs(
                name="core-node",
                image=image,
                command=["python3", f"{PROGRAM}/core_node.py"],
                args=[f"--credentials={CREDENTIALS}", f"--ready={STATE}/ready"],
                readiness_probe=core.v1.ProbeArgs(
                    exec_=core.v1.ExecActionArgs(command=["test", "-f", f"{STATE}/ready"]),
                    period_seconds=2,
                ),
                resources=core.v1.ResourceRequirementsArgs(
                    requests={"cpu": "10m", "memory": "32Mi"}, limits={"memory": "96Mi"}
                ),
                security_context=core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
                volume_mounts=[
                    core.v1.VolumeMountArgs(name="program", mount_path=PROGRAM, read_only=True),
                    core.v1.VolumeMountArgs(name="state", mount_path=STATE),
                ],
            )
        ],
        volumes=[
            core.v1.VolumeArgs(
                name="program", config_map=core.v1.ConfigMapVolumeSourceArgs(name=program.metadata["name"])
            ),
            core.v1.VolumeArgs(
                name="state", empty_dir=core.v1.EmptyDirVolumeSourceArgs(medium="Memory", size_limit="1Mi")
            ),
        ],
    )
