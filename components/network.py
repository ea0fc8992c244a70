"""The network that the cluster's nodes live in."""

from __future__ import annotations

import dataclasses

import pulumi
from pulumi_openstack import networking


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExistingNetwork:
    """A network that is there already, by its id and that of the subnet to use."""

    network_id: str
    subnet_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What a network is made of.

    Attributes:
        name: its name in the cloud, also that of its subnet and router.
        cidr: address range, such as 10.0.0.0/24.
        external_network_id: the network that the router leads to.
    """

    name: str
    cidr: str
    external_network_id: str


class Network(pulumi.ComponentResource):
    """A network with one subnet, and a router to the outside.

    It has no security groups: Magnum's driver makes the nodes' own, and nothing else lives here.
    """

    network_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("sciencegateway:network:Network", name, dataclasses.asdict(args), opts)
        network = networking.Network(
            f"{name}-network", name=args.name, opts=pulumi.ResourceOptions(parent=self)
        )
        subnet = networking.Subnet(
            f"{name}-subnet",
            name=args.name,
            network_id=network.id,
            cidr=args.cidr,
            ip_version=4,
            opts=pulumi.ResourceOptions(parent=self),
        )
        router = networking.Router(
            f"{name}-router",
            name=args.name,
            external_network_id=args.external_network_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        interface = networking.RouterInterface(
            f"{name}-interface",
            router_id=router.id,
            subnet_id=subnet.id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.network_id = network.id
        # Nodes fetch what they need from outside, so whoever uses the subnet waits for its way out.
        self.subnet_id = pulumi.Output.all(subnet.id, interface.id).apply(lambda ids: str(ids[0]))
        self.register_outputs({"network_id": self.network_id, "subnet_id": self.subnet_id})
