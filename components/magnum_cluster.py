"""The Kubernetes cluster that Magnum keeps."""

from __future__ import annotations

import dataclasses

import pulumi
from pulumi_openstack import containerinfra


@dataclasses.dataclass(frozen=True, kw_only=True)
class MagnumClusterArgs:
    """What a cluster is made of.

    Attributes:
        name: its name in Magnum.
        template_id: UUID of the cluster template; another one upgrades the cluster in place.
        network_id: the network of its nodes.
        subnet_id: the subnet of its nodes.
        masters: nodes of the control plane.
        master_flavor: flavor of the control plane's nodes.
        core_flavor: flavor of the one node in ``default-worker``, which carries the hub.
        keypair: name of an SSH keypair for the nodes; None for none.
        boot_volume_gib: root disk of every node.
        create_timeout_minutes: how long Magnum may take to create it.
        protect: whether deletion and replacement are refused.
    """

    name: str
    template_id: str
    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    masters: int
    master_flavor: str
    core_flavor: str
    keypair: str | None
    boot_volume_gib: int
    create_timeout_minutes: int
    protect: bool


def cluster_labels(boot_volume_gib: int) -> dict[str, str]:
    """The cluster's labels: all text, as Magnum keeps them.

    Labels can never change after creation, so only what never needs to is here: the bounds of the users'
    pools are fields of their own groups. Those of ``default-worker`` are read from labels alone.
    """
    return {
        "auto_scaling_enabled": "true",
        "min_node_count": "1",
        "max_node_count": "1",
        "boot_volume_size": str(boot_volume_gib),
        # The dashboard's chart is gone; where a template asks for it, creation never ends.
        "kube_dashboard_enabled": "false",
    }


class MagnumCluster(pulumi.ComponentResource):
    """A cluster whose ``default-worker`` group is one node that never scales: the core node."""

    cluster_id: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Cluster-admin credentials; a secret, and never an output of the stack."""
    cluster: containerinfra.Cluster

    def __init__(
        self, name: str, args: MagnumClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        inputs = {field.name: getattr(args, field.name) for field in dataclasses.fields(args)}
        super().__init__("sciencegateway:magnum_cluster:MagnumCluster", name, inputs, opts)
        self.cluster = containerinfra.Cluster(
            f"{name}-cluster",
            name=args.name,
            cluster_template_id=args.template_id,
            fixed_network=args.network_id,
            fixed_subnet=args.subnet_id,
            master_count=args.masters,
            master_flavor=args.master_flavor,
            flavor=args.core_flavor,
            node_count=1,
            keypair=args.keypair,
            labels=cluster_labels(args.boot_volume_gib),
            merge_labels=True,
            create_timeout=args.create_timeout_minutes,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # These matter at creation only, but the provider would replace the cluster for a change in
                # labels (Magnum adds some of its own) or in the timeout, and resize it for one in the count.
                ignore_changes=["labels", "create_timeout", "node_count"],
                # Two clusters side by side would not fit into the quota of floating addresses and cores.
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{args.create_timeout_minutes}m", update="60m", delete="60m"
                ),
            ),
        )
        self.cluster_id = self.cluster.id
        self.kubeconfig = pulumi.Output.secret(self.cluster.kubeconfig["raw_config"])
        self.register_outputs({"cluster_id": self.cluster_id})
