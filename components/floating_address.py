"""The public address of the gateway, reserved so that it outlives what answers there."""

from __future__ import annotations

import dataclasses

import pulumi
from pulumi_openstack import networking


@dataclasses.dataclass(frozen=True, kw_only=True)
class FloatingAddressArgs:
    """What an address is reserved for.

    Attributes:
        external_network: name of the network that the address is of.
        description: says in the cloud whose it is.
        protect: whether its deletion is refused.
    """

    external_network: str
    description: str
    protect: bool


class FloatingAddress(pulumi.ComponentResource):
    """A floating address, allocated and not yet bound to anything.

    A load balancer that asks for it by number gets it, and gives it back when it goes: names and users'
    bookmarks stay true when cluster or ingress are replaced.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: FloatingAddressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            "sciencegateway:floating_address:FloatingAddress", name, dataclasses.asdict(args), opts
        )
        made = networking.FloatingIp(
            f"{name}-floating-ip",
            pool=args.external_network,
            description=args.description,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address = made.address
        self.register_outputs({"address": self.address})
