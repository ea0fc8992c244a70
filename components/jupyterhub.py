"""JupyterHub: its namespace, its keys and its Helm release."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.hub_values import Values, merged
from components.hub_values.authentication import GitHubLogin, WorkshopLogin, authentication_values
from components.hub_values.culling import culling_values
from components.hub_values.placement import placement_values
from components.hub_values.profiles import Profile, default_profile, profile_values
from components.hub_values.storage import storage_values

__all__ = ["Chart", "GitHubLogin", "JupyterHub", "JupyterHubArgs", "Profile", "WorkshopLogin", "chart_values"]

RELEASE = "jupyterhub"
TIMEOUT_SECONDS = 3600
"""For an installation or upgrade: before one, every node pulls an image of perhaps 10 GB."""


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
        namespace: where in Kubernetes it lives, with its users' servers and homes.
        chart: where its chart comes from.
        image_name: the users' container image.
        image_tag: that image's tag.
        start_timeout_s: seconds that a server may take to start.
        placeholders: seats of the default profile kept warm.
        profiles: users' choices, at least one.
        login: how users log in.
        storage_class: for homes and the hub's database.
        home_gib: size of a home.
        hub_database_gib: size of the database's volume.
        idle_minutes: after how long an unused server is stopped.
        max_age_hours: after how long any server is stopped.
        protect: whether deletion of the namespace, and all homes with it, is refused.
        after: resources that must be there before the namespace and be deleted after it.
    """

    namespace: str
    chart: Chart
    image_name: str
    image_tag: str
    start_timeout_s: int
    placeholders: int
    profiles: Sequence[Profile]
    login: GitHubLogin | WorkshopLogin
    storage_class: str
    home_gib: int
    hub_database_gib: int
    idle_minutes: int
    max_age_hours: int
    protect: bool
    after: Sequence[pulumi.Resource]


def chart_values(args: JupyterHubArgs, keys: Mapping[str, object]) -> Values:
    """All values of the chart.

    Args:
        args: the hub's arguments.
        keys: ``cookie_secret``, ``proxy_token`` and ``crypt_key``; secrets.
    """
    return merged(
        {
            "hub": {
                "cookieSecret": keys["cookie_secret"],
                "config": {"CryptKeeper": {"keys": [keys["crypt_key"]]}},
                # A pool that cannot grow fails spawns in a row; by default the hub gives up after five.
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
                "image": {"name": args.image_name, "tag": args.image_tag},
                "defaultUrl": "/lab",
                "startTimeout": args.start_timeout_s,
                # The network policy keeps users from the cloud's metadata without a privileged container.
                "networkPolicy": {"enabled": True},
                "cloudMetadata": {"blockWithIptables": False},
            },
        },
        authentication_values(args.login),
        culling_values(idle_minutes=args.idle_minutes, max_age_hours=args.max_age_hours),
        placement_values(
            placeholder_pool=default_profile(args.profiles).pool,
            placeholders=args.placeholders,
        ),
        profile_values(args.profiles),
        storage_values(
            storage_class=args.storage_class,
            home_gib=args.home_gib,
            hub_database_gib=args.hub_database_gib,
        ),
    )


class JupyterHub(pulumi.ComponentResource):
    """The hub, installed by Helm so that the chart's own hooks run."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: JupyterHubArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "namespace": args.namespace,
            "chart": dataclasses.asdict(args.chart),
            "image": f"{args.image_name}:{args.image_tag}",
            "profiles": [dataclasses.asdict(profile) for profile in args.profiles],
        }
        super().__init__("sciencegateway:jupyterhub:JupyterHub", name, inputs, opts)
        namespace = Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=args.namespace),
            # Not deleted with the cluster: inside are the claims of all homes, whose volumes would stay.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=list(args.after)),
        )
        Release(
            f"{name}-release",
            name=RELEASE,
            chart=args.chart.chart,
            version=args.chart.version,
            repository_opts=(
                None if args.chart.repository is None else RepositoryOptsArgs(repo=args.chart.repository)
            ),
            namespace=namespace.metadata["name"],
            values=chart_values(args, self._keys(name)),
            timeout=TIMEOUT_SECONDS,
            # Not atomic: what failed stays for the operator to see, and the next run goes on from there.
            cleanup_on_fail=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace = namespace.metadata["name"]
        self.register_outputs({"namespace": self.namespace})

    def _keys(self, name: str) -> dict[str, pulumi.Output[str]]:
        """The hub's own random keys: made once, kept as secrets in the state."""
        made = local.Command(
            f"{name}-keys",
            create="python -m operations.hub_keys",
            logging=local.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["stdout"]),
        )
        text: pulumi.Output[str] = pulumi.Output.secret(made.stdout)
        keys: pulumi.Output[dict[str, str]] = text.apply(json.loads)
        return {part: keys[part] for part in ("cookie_secret", "proxy_token", "crypt_key")}
