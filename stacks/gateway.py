"""The whole gateway on one page."""

from __future__ import annotations

import pulumi
import pulumi_command
import pulumi_kubernetes
import pulumi_openstack

from components.jupyterhub import JupyterHub
from components.magnum_cluster import MagnumCluster, MagnumClusterArgs
from components.network import Network, NetworkArgs
from components.node_pools import NodePool, NodePools, NodePoolsArgs
from components.reclaim_guard import ReclaimGuard, ReclaimGuardArgs
from components.storage_class import StorageClass, StorageClassArgs
from stacks.cloud_check import CloudError, CloudFacts, connect, survey
from stacks.hub_args import hub_args
from stacks.problems import SettingsError
from stacks.settings import Settings

STORAGE_CLASS = "gateway"


def look_up(settings: Settings) -> CloudFacts:
    """What the settings' names stand for in the cloud.

    Raises:
        pulumi.RunError: if the cloud cannot be asked, or does not have all of it.
    """
    try:
        return survey(connect(settings.cloud), settings)
    except CloudError as error:
        raise pulumi.RunError(str(error)) from None
    except SettingsError as error:
        raise pulumi.RunError(f"The cloud does not have all that the settings name:\n{error}") from None


def build(settings: Settings, facts: CloudFacts, stack: str) -> None:
    """Declares the gateway and its outputs.

    Args:
        settings: the stack's settings.
        facts: the cloud's ids for what they name.
        stack: the stack's name; together with the gateway's name it makes all names in the cloud.
    """
    prefix = f"{settings.name}-{stack}"
    openstack = pulumi.ResourceOptions(
        providers=[
            pulumi_openstack.Provider("cloud", cloud=settings.cloud.name, region=settings.cloud.region)
        ]
    )

    network = facts.existing_network or Network(
        "network",
        NetworkArgs(
            name=prefix,
            cidr=str(settings.network.cidr),
            external_network_id=facts.external_network_id,
        ),
        openstack,
    )
    magnum = MagnumCluster(
        "cluster",
        MagnumClusterArgs(
            name=prefix,
            template_id=facts.template_id,
            network_id=network.network_id,
            subnet_id=network.subnet_id,
            masters=settings.cluster.masters,
            master_flavor=settings.cluster.master_flavor,
            core_flavor=settings.cluster.core_flavor,
            keypair=settings.cluster.keypair,
            boot_volume_gib=settings.cluster.boot_volume_gib,
            create_timeout_minutes=settings.cluster.create_timeout_minutes,
            protect=settings.production,
        ),
        openstack,
    )
    pools = NodePools(
        "pools",
        NodePoolsArgs(
            cluster=magnum.cluster,
            pools={
                name: NodePool(flavor=pool.flavor, min=pool.min, max=pool.max)
                for name, pool in settings.pools.items()
            },
        ),
        openstack,
    )

    inside = pulumi.ResourceOptions(
        providers=[
            pulumi_kubernetes.Provider(
                "kubernetes",
                kubeconfig=magnum.kubeconfig,
                # Renewed credentials for the same cluster are no reason to replace what is in it.
                cluster_identifier=magnum.cluster_id,
            ),
            pulumi_command.Provider("command"),
        ]
    )
    storage_class = StorageClass(
        "storage",
        StorageClassArgs(
            name=STORAGE_CLASS,
            reclaim_policy=settings.storage.reclaim_policy,
            cluster=magnum.cluster,
        ),
        inside,
    )
    guard = ReclaimGuard(
        "reclaim", ReclaimGuardArgs(kubeconfig=magnum.kubeconfig, keeps=[storage_class, pools]), inside
    )
    hub = JupyterHub("hub", hub_args(settings, storage_class=STORAGE_CLASS, after=[guard]), inside)

    pulumi.export("address", address(settings))
    pulumi.export("cluster", {"name": prefix, "uuid": magnum.cluster_id})
    pulumi.export("pools", {name: pool.model_dump() for name, pool in settings.pools.items()})
    pulumi.export("namespace", hub.namespace)
    pulumi.export("how_to_reach", how_to_reach(settings, prefix))


def address(settings: Settings) -> str:
    """Where the hub answers: inside the cluster only, as nothing leads to it from outside yet."""
    return f"http://proxy-public.{settings.hub.namespace}.svc.cluster.local"


def how_to_reach(settings: Settings, cluster: str) -> str:
    """What an operator types to look inside. Credentials are asked of Magnum, never kept in an output."""
    return (
        f"`openstack coe cluster config {cluster}` writes a kubeconfig; "
        f"then `kubectl --namespace {settings.hub.namespace} port-forward service/proxy-public 8000:http` "
        "serves the hub at http://127.0.0.1:8000"
    )
