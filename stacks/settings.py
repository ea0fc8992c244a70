"""The closed, typed model of a stack's settings: the ``gateway:`` keys of Pulumi.<stack>.yaml.

Each class is one key; a field's description is what the user reads when its value is refused. Rules that need
more than one setting are in ``settings_rules``; ``settings_parsing`` makes the model from Pulumi's
configuration or says what is wrong with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from stacks.flavors import JETSTREAM2, Shape

PODS_AND_SERVICES = ipaddress.IPv4Network("172.16.0.0/12")
"""Addresses that Magnum's driver gives to pods and services inside the cluster."""

Text = Annotated[str, StringConstraints(min_length=1)]
Dns = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]+[a-z0-9]$", max_length=63)]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=63)]
ExactVersion = Annotated[str, StringConstraints(pattern=r"^v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@-]*$")]


class Section(BaseModel):
    """A group of settings: closed, so that a misspelt key is an error, and unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


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

    @property
    def shape(self) -> Shape:
        """The same in the units of the arithmetic."""
        return Shape(vcpus=self.vcpus, memory_mib=int(self.memory_gib * 1024))


class Profile(Section):
    """A choice that users see when they start a server."""

    name: Dns = Field(description="short name, as in the address of a spawn link")
    title: Text = Field(description="what users read")
    description: str = Field(default="", description="a second line for users")
    pool: str = Field(description="the pool whose nodes run it")
    users_per_node: int | None = Field(
        None,
        ge=1,
        le=25,
        description="share a node equally; at most 25, as each home is a volume attached to it",
    )
    memory_gib: float | None = Field(default=None, ge=0.5, description="memory of one server in GiB")
    cpus: float | None = Field(default=None, ge=0.1, description="CPUs promised to one server")
    default: bool = Field(default=False, description="chosen unless the user picks another")


class Storage(Section):
    """Volumes of users' homes and of the hub's database."""

    reclaim_policy: Literal["Delete", "Retain"] = Field(
        description="Retain keeps a volume when its claim is deleted, Delete deletes it"
    )
    home_gib: int = Field(default=10, ge=1, le=1000, description="size of each user's home in GiB")
    hub_database_gib: int = Field(
        default=1, ge=1, le=100, description="size of the hub's database volume in GiB"
    )


class Image(Section):
    """The container image that users meet."""

    name: Text = Field(description="registry and name, without a tag")
    tag: Text = Field(description="an unchanging tag")

    @field_validator("name")
    @classmethod
    def _has_no_tag(cls, name: str) -> str:
        if ":" in name.rpartition("/")[2]:
            raise ValueError("holds a tag too; put what follows the colon into tag")
        return name

    @field_validator("tag")
    @classmethod
    def _does_not_move(cls, tag: str) -> str:
        if tag == "latest":
            raise ValueError("moves, so that nodes would run different images; name a dated or numbered tag")
        return tag


class Hub(Section):
    """JupyterHub itself."""

    namespace: Dns = Field(default="jhub", description="Kubernetes namespace, as in jhub")
    image: Image = Field(description="the container image that users meet: name and tag")
    host: HostName | None = Field(
        default=None,
        description="full host name, in lower case and under 64 characters: certificates allow no more",
    )
    start_timeout_s: int = Field(
        600,
        ge=60,
        le=3600,
        description="seconds a server may take to start; a new node alone takes about 300",
    )
    placeholders: int = Field(
        default=0, ge=0, le=100, description="seats of the default profile kept warm ahead of users"
    )


class Chart(Section):
    """Where JupyterHub's Helm chart comes from: a repository, or a folder."""

    repository: Text | None = Field(default=None, description="address of a Helm repository")
    name: Text = Field(default="jupyterhub", description="the chart's name in the repository")
    version: ExactVersion | None = Field(
        default=None, description="one exact version such as 4.4.0, never a range"
    )
    path: Text | None = Field(default=None, description="a folder that holds a chart")


class GitHub(Section):
    """Who may log in with GitHub."""

    client_id: Text = Field(description="client id of the GitHub OAuth application")
    allowed_organizations: tuple[Text, ...] = Field(default=(), description="all members may log in")
    allowed_users: tuple[UserName, ...] = Field(default=(), description="GitHub names in lower case")
    admin_users: tuple[UserName, ...] = Field(default=(), description="GitHub names in lower case")


class Authentication(Section):
    """How users log in: one of the two."""

    github: GitHub | None = Field(default=None, description="GitHub OAuth")
    workshop: bool = Field(
        default=False, description="any name, with one shared password or none: for rehearsals only"
    )


class Culling(Section):
    """When unused servers are stopped. An open desktop counts as use, hence the greatest age."""

    idle_minutes: int = Field(default=60, ge=5, le=10080, description="minutes without activity")
    max_age_hours: int = Field(
        default=12, ge=1, le=720, description="hours after which any server is stopped"
    )

    @field_validator("max_age_hours")
    @classmethod
    def _longer_than_idle(cls, hours: int, info: ValidationInfo) -> int:
        idle = info.data.get("idle_minutes")
        if idle is not None and hours * 60 < idle:
            raise ValueError(f"is shorter than idle_minutes, which is {idle}; set {-(-idle // 60)} or more")
        return hours


class Secrets(Section):
    """What is kept encrypted in the stack's file; set with ``pulumi config set --secret --path``."""

    github_client_secret: SecretStr | None = Field(
        default=None, min_length=8, description="client secret of the OAuth application"
    )
    workshop_password: SecretStr | None = Field(
        default=None, min_length=8, description="the password that all users share"
    )


class Settings(Section):
    """All settings of one stack. The fields are the keys ``gateway:<field>``."""

    name: Annotated[Dns, StringConstraints(max_length=20)] = Field(
        description="prefix of all names in the cloud: 20 or fewer lower-case letters, digits and dashes"
    )
    production: bool = Field(
        default=False, description="true protects cluster and homes, and forbids rehearsal choices"
    )
    cloud: Cloud = Field(default=Cloud())
    network: Network = Field(description="the nodes' network: cidr to create one, existing to use one")
    cluster: Cluster = Field(description="the Magnum cluster; template has no default")
    pools: Mapping[PoolName, Pool] = Field(
        min_length=1, description="at least one; names of 3 to 63 lower-case letters, digits and dashes"
    )
    flavors: Mapping[str, Flavor] = Field(default_factory=dict)
    profiles: tuple[Profile, ...] = Field(min_length=1, description="at least one choice for users")
    storage: Storage = Field(description="volumes; reclaim_policy has no default")
    hub: Hub = Field(description="JupyterHub itself; image has no default")
    chart: Chart = Field(description="JupyterHub's Helm chart: a repository and version, or a path")
    authentication: Authentication = Field(description="how users log in: github, or workshop: true")
    culling: Culling = Field(default=Culling())
    secrets: Secrets = Field(default=Secrets())

    def shape(self, flavor: str) -> Shape | None:
        """The size of a flavor, from the settings or from Jetstream2's table; None if in neither."""
        own = self.flavors.get(flavor)
        return own.shape if own is not None else JETSTREAM2.get(flavor)
