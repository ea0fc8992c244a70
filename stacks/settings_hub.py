"""Settings of JupyterHub itself: its image, what a server does as it starts, the choices, the culling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from stacks.settings_base import DnsLabel, EnvironmentName, HostName, Section, Text

HOMES_PER_NODE = 25
"""Volumes of homes that a node can be given, beside its own: Cinder's driver attaches 26 or so to one."""


class Profile(Section):
    """A choice that users see when they start a server."""

    name: DnsLabel = Field(description="short name, as in the address of a spawn link")
    title: Text = Field(description="what users read")
    description: str = Field(default="", description="a second line for users")
    pool: str = Field(description="the pool whose nodes run it")
    users_per_node: int | None = Field(
        None,
        ge=1,
        le=HOMES_PER_NODE,
        description=f"share a node equally; at most {HOMES_PER_NODE}, as each home is a volume on it",
    )
    memory_gib: float | None = Field(default=None, ge=0.5, description="memory of one server in GiB")
    cpus: float | None = Field(default=None, ge=0.1, description="CPUs promised to one server")
    default: bool = Field(default=False, description="chosen unless the user picks another")
    closed: bool = Field(default=False, description="true lets nobody start it, and says so")


class Image(Section):
    """The container image that users meet."""

    name: Text = Field(description="registry and name, without a tag")
    tag: Text = Field(description="an unchanging tag")
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = Field(
        default=None, description="sha256: and 64 hexadecimal digits; where given, it decides and not the tag"
    )

    @field_validator("name")
    @classmethod
    def _has_no_tag(cls, name: str) -> str:
        if "@" in name:
            raise ValueError("holds a digest too; put what follows the @ into digest")
        if ":" in name.rpartition("/")[2]:
            raise ValueError("holds a tag too; put what follows the colon into tag")
        return name

    @field_validator("tag")
    @classmethod
    def _does_not_move(cls, tag: str) -> str:
        if tag == "latest":
            raise ValueError("moves, so that nodes would run different images; name a dated or numbered tag")
        return tag


class StartCommand(Section):
    """Something to do in each user's server as it starts."""

    name: DnsLabel = Field(description="what its lines in the log begin with")
    run: Text = Field(description="text for bash, run in the user's home")
    must_succeed: bool = Field(
        default=False, description="true refuses the server when it fails; false logs that and goes on"
    )


class Tutorials(Section):
    """Notebooks pulled into each home at each start."""

    repository: Annotated[str, StringConstraints(pattern=r"^https://\S+$")] = Field(
        default="https://github.com/nsf-lrose/lrose-hub",
        description="https address of a public git repository",
    )
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")] = Field(
        default="main", description="the branch to follow"
    )
    folder: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = Field(
        default="lrose-hub", description="where in the home they go: one plain name"
    )
    depth: int = Field(default=0, ge=0, le=1000, description="newest commits to fetch; 0 fetches all")


class Registry(Section):
    """Who pulls the image, where it is not public; the password is a secret."""

    server: Text = Field(description="the registry's address, as in the image's name")
    username: Text = Field(description="who pulls from it")


class Hub(Section):
    """JupyterHub itself."""

    namespace: DnsLabel = Field(default="jhub", description="Kubernetes namespace, as in jhub")
    image: Image = Field(description="the container image that users meet: name and tag")
    registry: Registry | None = Field(default=None, description="who pulls the image, where it is not public")
    host: HostName | None = Field(
        default=None,
        description="full host name, in lower case and under 64 characters: certificates allow no more",
    )
    extra_env: Mapping[EnvironmentName, str] = Field(
        default_factory=dict, description="environment of users' servers: names and texts"
    )
    start_commands: tuple[StartCommand, ...] = Field(
        default=(), description="run in this order as a server starts"
    )
    tutorials: Tutorials | None = Field(
        default=Tutorials(), description="pulled into each home at each start; null for none"
    )
    default_url: Annotated[str, StringConstraints(pattern=r"^/\S*$")] = Field(
        default="/lab", description="the page that a server opens with, such as /lab"
    )
    start_timeout_s: int = Field(
        1200,
        ge=60,
        le=3600,
        description="seconds a server may take to start; a new node takes about 300, and its first pull of "
        "an image of 10 GB about 600",
    )
    notice: str | None = Field(default=None, description="a sentence that users read on the hub's pages")
    placeholders_per_pool: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="spare nodes kept warm in each pool; null is 1 in production and 0 elsewhere",
    )
    keys_generation: int = Field(
        default=1, ge=1, description="raise it to make new keys, which logs all users out"
    )


class Culling(Section):
    """When what is unused is stopped. An image may count an open desktop as use, hence the greatest age."""

    idle_minutes: int = Field(
        default=60, ge=5, le=10080, description="minutes without activity that stop a server"
    )
    kernel_idle_minutes: int | None = Field(
        default=30, ge=1, le=10080, description="minutes without a run that stop a kernel; null is never"
    )
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
