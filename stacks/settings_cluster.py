"""Settings of what the gateway runs on: the cloud, the network, the cluster and its node groups."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from stacks.flavors import Shape
from stacks.settings_base import Section, Text

PODS_AND_SERVICES = ipaddress.IPv4Network("172.16.0.0/12")
"""Addresses that Magnum's driver gives to pods and services inside the cluster."""


class Cloud(Section):
    """The OpenStack cloud, and who we are in it."""

    name: Text | None = Field(
        default=None, description="an entry of clouds.yaml; null takes the OS_* variables instead"
    )
    region: Text | None = Field(default=None, description="a region of the cloud, such as IU")
    external_network: Text = Field(
        default="public", description="the network that floating addresses come from"
    )


class Network(Section):
    """The nodes' network: one of our own, or one that exists."""

    cidr: str | None = Field(
        default=None, description="the address range of a network to create, such as 10.0.0.0/24"
    )
    existing: Text | None = Field(
        default=None, description="the name or id of a network to use, such as auto_allocated_network"
    )

    @field_validator("cidr")
    @classmethod
    def _has_room(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            cidr = ipaddress.IPv4Network(text)
        except ValueError:
            raise ValueError("is not an IPv4 network; write one such as 10.0.0.0/24") from None
        if not cidr.is_private:
            raise ValueError("is a public range; take a private one, such as 10.0.0.0/24")
        if cidr.prefixlen > 27:
            raise ValueError(f"holds only {cidr.num_addresses} addresses; take one such as 10.0.0.0/24")
        if cidr.overlaps(PODS_AND_SERVICES):
            raise ValueError(
                f"overlaps {PODS_AND_SERVICES}, which pods and services use; take one such as 10.0.0.0/24"
            )
        return text


class Cluster(Section):
    """The Magnum cluster and its group ``default-worker``, whose one node carries the hub itself."""

    template: Text = Field(description="name or UUID of a Magnum cluster template")
    master_flavor: Text = Field(default="m3.quad", description="flavor of the control plane's nodes")
    masters: Literal[1, 3] = Field(
        default=1, description="nodes of the control plane: 1, or 3 to survive the loss of one"
    )
    core_flavor: Text = Field(default="m3.quad", description="flavor of the node that carries the hub")
    keypair: Text | None = Field(
        default=None, description="name of an SSH keypair to put on the nodes; null for none"
    )
    boot_volume_gib: int = Field(
        default=60, ge=20, le=1000, description="root disk of every node in GiB; images live there"
    )
    create_timeout_minutes: int = Field(
        default=240,
        ge=30,
        le=1440,
        description="how long Magnum may take; the first cluster can take over 2 hours",
    )


class Pool(Section):
    """A node group for users, which the autoscaler grows and shrinks."""

    flavor: Text = Field(description="flavor of the pool's nodes")
    min: int = Field(ge=1, description="fewest nodes; Magnum cannot scale a group to zero")
    max: int = Field(ge=1, le=100, description="most nodes that the autoscaler may reach")

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, most: int, info: ValidationInfo) -> int:
        fewest = info.data.get("min")
        if fewest is not None and most < fewest:
            raise ValueError(f"is below min, which is {fewest}; set {fewest} or more")
        return most


class Flavor(Section):
    """The size of a flavor that the program does not know."""

    vcpus: int = Field(ge=1, description="virtual CPUs")
    memory_gib: float = Field(gt=0, description="memory in GiB")
    su_per_hour: float | None = Field(
        default=None, ge=0, description="price of a running server in SU/h; null where it is not known"
    )

    @property
    def shape(self) -> Shape:
        """The same in the units of the arithmetic."""
        return Shape(vcpus=self.vcpus, memory_mib=int(self.memory_gib * 1024))
