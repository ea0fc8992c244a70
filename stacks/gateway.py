"""The whole gateway on one page."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pulumi
import pulumi_command
import pulumi_kubernetes
import pulumi_openstack

from allocation.ladder import Rung
from components.core_node import CoreNode, CoreNodeArgs
from components.hub_backup import HubBackup, HubBackupArgs
from components.hub_namespace import HubNamespace, HubNamespaceArgs
from components.hub_removal import HubRemoval, HubRemovalArgs
from components.jupyterhub import RELEASE, JupyterHub
from components.magnum_cluster import MagnumCluster, MagnumClusterArgs
from components.network import Network, NetworkArgs
from components.node_pools import NodePool, NodePools, NodePoolsArgs
from components.placeholders import Placeholders, PlaceholdersArgs, Room
from components.reclaim_guard import ReclaimGuard, ReclaimGuardArgs
from components.storage_class import StorageClass, StorageClassArgs
from operations import core_node, hub_database
from stacks import charts, flavors
from stacks.cloud_check import CloudError, CloudFacts, connect, survey
from stacks.forecast_hook import price_hook, show_without_cloud
from stacks.hub_args import hub_args
from stacks.problems import SettingsError
from stacks.settings import Settings
from stacks.storage_parts import (
    STORAGE_CLASS,
    claims,
    drive_source,
    home_storage,
    homes_source,
    kept_after_destroy,
    shared_drive,
)
from stacks.way_in import way_in


def look_up(settings: Settings) -> CloudFacts:
    """What the settings' names stand for in the cloud.

    Raises:
        pulumi.RunError: if the cloud cannot be asked, or does not have all of it.
    """
    try:
        return survey(connect(settings.cloud), settings)
    except CloudError as error:
        # What the pools cost can be told from the ledger alone.
        show_without_cloud(settings)
        raise pulumi.RunError(str(error)) from None
    except SettingsError as error:
        raise pulumi.RunError(f"The cloud does not have all that the settings name:\n{error}") from None


def build(settings: Settings, facts: CloudFacts, stack: str, spared: Mapping[str, int] | None = None) -> None:
    """Declares the gateway and its outputs.

    Args:
        settings: the stack's settings.
        facts: the cloud's ids for what they name.
        stack: the stack's name; together with the gateway's name it makes all names in the cloud.
        spared: nodes of each pool that its ceiling leaves standing, if it is lower.
    """
    prefix = f"{settings.name}-{stack}"
    cloud = pulumi_openstack.Provider("cloud", cloud=settings.cloud.name, region=settings.cloud.region)
    openstack = pulumi.ResourceOptions(providers=[cloud])

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
                name: NodePool(
                    flavor=pool.flavor, min=pool.min, max=max(pool.max, (spared or {}).get(name, 0))
                )
                for name, pool in settings.pools.items()
            },
        ),
        pulumi.ResourceOptions.merge(openstack, pulumi.ResourceOptions(hooks=price_hook(settings))),
    )

    kubernetes = pulumi_kubernetes.Provider(
        "kubernetes",
        kubeconfig=magnum.kubeconfig,
        # Renewed credentials for the same cluster are no reason to replace what is in it.
        cluster_identifier=magnum.cluster_id,
    )
    inside = pulumi.ResourceOptions(providers=[kubernetes, pulumi_command.Provider("command"), cloud])

    storage_class = StorageClass(
        "storage",
        StorageClassArgs(
            name=STORAGE_CLASS,
            reclaim_policy=settings.storage.reclaim_policy,
            cluster=magnum.cluster,
        ),
        inside,
    )
    CoreNode("core-node", CoreNodeArgs(program=inspect.getsource(core_node), cluster=magnum.cluster), inside)
    # What makes volumes or load balancers comes after the guard, and so goes before it.
    guard = ReclaimGuard(
        "reclaim", ReclaimGuardArgs(kubeconfig=magnum.kubeconfig, keeps=[storage_class, pools]), inside
    )
    drive = shared_drive(settings, prefix, inside, after=[guard])
    homes = home_storage(settings, prefix, inside, after=[guard])
    namespace = HubNamespace(
        "hub",
        HubNamespaceArgs(
            namespace=settings.hub.namespace,
            claims=claims(settings, drive, homes),
            protect=settings.production,
            after=[guard, *(part for part in (drive, homes) if part is not None)],
        ),
        inside,
    )
    way_in(settings, facts, prefix, namespace, inside, after=[guard])
    source = charts.source(settings.chart)
    backup = HubBackup(
        "hub-backup",
        HubBackupArgs(
            namespace=namespace.namespace,
            kubeconfig=magnum.kubeconfig,
            program=inspect.getsource(hub_database),
            image=charts.hub_image(settings.chart),
            schedule=settings.backup.schedule,
            keep=settings.backup.keep,
            size_gib=settings.backup.size_gib,
            storage_class=STORAGE_CLASS,
            # A shutdown, too, makes a copy first.
            releases=[
                source.chart,
                source.version or "",
                *(["shutdown"] if settings.budget.rung == "shutdown" else []),
            ],
            protect=settings.production,
        ),
        inside,
    )
    hub = JupyterHub(
        "hub",
        hub_args(
            settings,
            namespace=namespace.namespace,
            storage_class=STORAGE_CLASS,
            before_release=[backup.before_upgrade],
            shared_homes_source=homes_source(homes),
            shared_drive_source=drive_source(drive),
        ),
        inside,
    )
    HubRemoval(
        "hub-removal",
        HubRemovalArgs(namespace=namespace.namespace, kubeconfig=magnum.kubeconfig, hub=hub.release),
        inside,
    )
    Placeholders(
        "placeholders",
        PlaceholdersArgs(
            namespace=namespace.namespace,
            pools=rooms(settings),
            replicas=settings.placeholders_per_pool,
            scheduler=f"{RELEASE}-user-scheduler",
        ),
        inside,
    )

    pulumi.export("address", address(settings))
    pulumi.export("cluster", {"name": prefix, "uuid": magnum.cluster_id})
    pulumi.export("pools", {name: pool.model_dump() for name, pool in settings.pools.items()})
    # So that a preview shows that it would lift a brake, even from a folder that lacks the ladder's file.
    pulumi.export("rung", Rung.NORMAL.title if settings.budget.rung == "auto" else settings.budget.rung)
    pulumi.export("namespace", namespace.namespace)
    pulumi.export("how_to_reach", how_to_reach(settings, prefix))
    pulumi.export("kept_after_destroy", kept_after_destroy(settings, prefix))


def rooms(settings: Settings) -> dict[str, Room]:
    """What a node of each pool has for its users."""
    found = {}
    for name, pool in settings.pools.items():
        shape = settings.shape(pool.flavor)
        if shape is not None:
            whole = flavors.for_users(shape)
            found[name] = Room(memory_mib=whole.memory_mib, cpus=whole.cpus)
    return found


def address(settings: Settings) -> str:
    """Where users find the hub; without a way in from outside, where it answers inside the cluster."""
    if settings.hub.host is not None and settings.tls is not None:
        return f"https://{settings.hub.host}"
    return f"http://proxy-public.{settings.hub.namespace}.svc.cluster.local"


def how_to_reach(settings: Settings, cluster: str) -> str:
    """What an operator types to look inside. Credentials are asked of Magnum, never kept in an output."""
    return (
        f"`openstack coe cluster config {cluster}` writes a kubeconfig; "
        f"then `kubectl --namespace {settings.hub.namespace} port-forward service/proxy-public 8000:http` "
        "serves the hub at http://127.0.0.1:8000"
    )
