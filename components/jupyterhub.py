"""JupyterHub: its keys and its Helm release."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

from components.hub_values import Values, merged
from components.hub_values.authentication import (
    CILogonLogin,
    GitHubLogin,
    IdentityProvider,
    Login,
    WorkshopLogin,
    authentication_values,
)
from components.hub_values.capacity import Room, capacity_values
from components.hub_values.checks import WrongValuesError, checked
from components.hub_values.culling import culling_values
from components.hub_values.image import Image, Registry, image_values
from components.hub_values.placement import placement_values
from components.hub_values.profiles import Profile, default_profile, profile_values
from components.hub_values.server import server_values
from components.hub_values.start_commands import Command, Tutorials
from components.hub_values.storage import HomeVolumes, SharedDrive, SharedHomes, storage_values

__all__ = [
    "CILogonLogin",
    "Chart",
    "Command",
    "GitHubLogin",
    "HomeVolumes",
    "IdentityProvider",
    "Image",
    "JupyterHub",
    "JupyterHubArgs",
    "Login",
    "Profile",
    "Registry",
    "SharedDrive",
    "SharedHomes",
    "Tutorials",
    "Values",
    "WorkshopLogin",
    "WrongValuesError",
    "chart_values",
]

RELEASE = "jupyterhub"
TIMEOUT_SECONDS = 3600
"""For an installation or upgrade: before one, every node pulls an image of perhaps 10 GB."""

FIRST_GENERATION = 1
"""Of the keys."""

KEPT_INPUTS = ("create", "environment", "interpreter", "logging", "dir", "stdin")
"""Of the command that makes the keys: all but its triggers. It would run again for a change of any of them,
and log everybody out for another spelling of the command."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """Where the chart comes from: a repository's address with name and version, or a folder."""

    chart: str
    repository: str | None
    version: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class JupyterHubArgs:
    """What a hub is made of.

    Attributes:
        namespace: where in Kubernetes it lives, with its users' servers and homes; it is there before.
        chart: where its chart comes from.
        image: the users' container image.
        registry: who pulls it; None where anyone may.
        environment: variables of users' servers.
        start_commands: what the operator adds to the start of a server.
        tutorials: notebooks pulled at each start; None for none.
        default_url: the page that a server opens with.
        start_timeout_s: seconds that a server may take to start.
        profiles: users' choices, at least one.
        announcement: a sentence for all users; None for none.
        login: how users log in.
        homes: a volume for each user, or one for all.
        shared_drive: None for none.
        database_storage_class: storage class of the hub's database.
        hub_database_gib: size of the database's volume.
        idle_minutes: after how long an unused server is stopped.
        kernel_idle_minutes: after how long an unused kernel is; None for never.
        max_age_hours: after how long any server is stopped.
        keys_generation: another number makes other keys.
        before_release: resources that must be there before each installation or upgrade of the chart.
    """

    namespace: pulumi.Input[str]
    chart: Chart
    image: Image
    registry: Registry | None
    environment: Mapping[str, str]
    start_commands: Sequence[Command]
    tutorials: Tutorials | None
    default_url: str
    start_timeout_s: int
    profiles: Sequence[Profile]
    announcement: str | None
    login: Login
    homes: HomeVolumes | SharedHomes
    shared_drive: SharedDrive | None
    database_storage_class: str
    hub_database_gib: int
    idle_minutes: int
    kernel_idle_minutes: int | None
    max_age_hours: int
    keys_generation: int
    before_release: Sequence[pulumi.Resource] = ()


def chart_values(args: JupyterHubArgs, keys: Mapping[str, object]) -> Values:
    """All values of the chart.

    Args:
        args: the hub's arguments.
        keys: ``cookie_secret``, ``proxy_token`` and ``crypt_key``; secrets.

    Raises:
        WrongValuesError: if a hub could not work with them.
    """
    values = merged(
        {
            "hub": {
                "cookieSecret": keys["cookie_secret"],
                "config": {"CryptKeeper": {"keys": [keys["crypt_key"]]}},
                # A pool that cannot grow fails spawns in a row; by default the hub gives up after five. It
                # needs no such end: it stops by itself when it has lost Kubernetes.
                "consecutiveFailureLimit": 0,
                "networkPolicy": {"enabled": True},
            },
            "proxy": {
                "secretToken": keys["proxy_token"],
                # A load balancer of the chart's own would cost a floating address, and speak plain HTTP.
                "service": {"type": "ClusterIP"},
                "chp": {"networkPolicy": {"enabled": True}},
            },
            "singleuser": {
                # The network policy keeps users from the cloud's metadata without a privileged container.
                "networkPolicy": {"enabled": True},
                "cloudMetadata": {"blockWithIptables": False},
            },
        },
        authentication_values(args.login),
        capacity_values(
            [_room(profile) for profile in args.profiles],
            default_profile=default_profile(args.profiles).name,
            idle_minutes=args.idle_minutes,
            announcement=args.announcement,
        ),
        culling_values(idle_minutes=args.idle_minutes, max_age_hours=args.max_age_hours),
        image_values(args.image, args.registry),
        placement_values(),
        profile_values(args.profiles),
        server_values(
            environment=args.environment,
            default_url=args.default_url,
            start_timeout_s=args.start_timeout_s,
            kernel_idle_minutes=args.kernel_idle_minutes,
            tutorials=args.tutorials,
            shared_drive=args.shared_drive is not None,
            commands=args.start_commands,
        ),
        storage_values(
            homes=args.homes,
            shared_drive=args.shared_drive,
            database_storage_class=args.database_storage_class,
            hub_database_gib=args.hub_database_gib,
        ),
    )
    return checked(values)


def _room(profile: Profile) -> Room:
    return Room(
        profile=profile.name,
        title=profile.title,
        pool=profile.pool,
        per_node=profile.per_node,
        max_nodes=profile.max_nodes,
        closed=profile.closed,
    )


class JupyterHub(pulumi.ComponentResource):
    """The hub, installed by Helm so that the chart's own hooks run."""

    release: Release

    def __init__(self, name: str, args: JupyterHubArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "namespace": args.namespace,
            "chart": dataclasses.asdict(args.chart),
            "image": f"{args.image.name}:{args.image.full_tag}",
            "profiles": [dataclasses.asdict(profile) for profile in args.profiles],
        }
        super().__init__("sciencegateway:jupyterhub:JupyterHub", name, inputs, opts)
        try:
            values = chart_values(args, self._keys(name, args.keys_generation))
        except WrongValuesError as error:
            raise pulumi.RunError(f"The chart's values are wrong:\n{error}") from None
        self.release = Release(
            f"{name}-release",
            name=RELEASE,
            chart=args.chart.chart,
            version=args.chart.version,
            repository_opts=(
                None if args.chart.repository is None else RepositoryOptsArgs(repo=args.chart.repository)
            ),
            namespace=args.namespace,
            values=values,
            timeout=TIMEOUT_SECONDS,
            # Not atomic: what failed stays for the operator to see, and the next run goes on from there.
            cleanup_on_fail=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.before_release)),
        )
        self.register_outputs({})

    def _keys(self, name: str, generation: int) -> dict[str, pulumi.Output[str]]:
        """The hub's own random keys: made once for each generation, kept as secrets in the state."""
        made = local.Command(
            f"{name}-keys",
            create="python -m operations.hub_keys",
            logging=local.Logging.NONE,
            # Without triggers in the first: hubs from before there were generations keep their keys.
            triggers=None if generation == FIRST_GENERATION else [generation],
            opts=pulumi.ResourceOptions(
                parent=self, additional_secret_outputs=["stdout"], ignore_changes=list(KEPT_INPUTS)
            ),
        )
        text: pulumi.Output[str] = pulumi.Output.secret(made.stdout)
        keys: pulumi.Output[dict[str, str]] = text.apply(json.loads)
        return {part: keys[part] for part in ("cookie_secret", "proxy_token", "crypt_key")}
