"""From the settings to the hub's arguments."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.jupyterhub import Chart, GitHubLogin, JupyterHubArgs, Profile, WorkshopLogin
from stacks import flavors
from stacks.settings import Settings


def hub_args(settings: Settings, *, storage_class: str, after: Sequence[pulumi.Resource]) -> JupyterHubArgs:
    """The hub's arguments.

    Args:
        settings: the stack's settings.
        storage_class: name of the class that makes its volumes.
        after: resources that the hub needs first, and that are deleted after it.
    """
    return JupyterHubArgs(
        namespace=settings.hub.namespace,
        chart=Chart(
            chart=settings.chart.path or settings.chart.name,
            repository=settings.chart.repository,
            version=settings.chart.version,
        ),
        image_name=settings.hub.image.name,
        image_tag=settings.hub.image.tag,
        start_timeout_s=settings.hub.start_timeout_s,
        placeholders=settings.placeholders_per_pool,
        profiles=profiles(settings),
        login=_login(settings),
        storage_class=storage_class,
        home_gib=settings.storage.home_gib,
        hub_database_gib=settings.storage.hub_database_gib,
        idle_minutes=settings.culling.idle_minutes,
        max_age_hours=settings.culling.max_age_hours,
        protect=settings.production,
        after=after,
    )


def profiles(settings: Settings) -> list[Profile]:
    """Users' choices, each with its part of a node.

    Raises:
        KeyError: if a profile's pool or its flavor is unknown; settings that were parsed have none such.
    """
    made = []
    for profile in settings.profiles:
        shape = settings.shape(settings.pools[profile.pool].flavor)
        if shape is None:
            raise KeyError(profile.pool)
        whole = flavors.for_users(shape)
        part = flavors.share(shape, profile.users_per_node or 1)
        made.append(
            Profile(
                name=profile.name,
                title=profile.title,
                description=profile.description,
                pool=profile.pool,
                memory_mib=int(profile.memory_gib * 1024) if profile.memory_gib else part.memory_mib,
                cpus=profile.cpus or part.cpus,
                cpu_limit=whole.cpus,
                default=profile.default,
            )
        )
    return made


def _login(settings: Settings) -> GitHubLogin | WorkshopLogin:
    github, secrets = settings.authentication.github, settings.secrets
    if github is None or settings.hub.host is None or secrets.github_client_secret is None:
        password = secrets.workshop_password
        return WorkshopLogin(
            password=None if password is None else pulumi.Output.secret(password.get_secret_value())
        )
    return GitHubLogin(
        host=settings.hub.host,
        client_id=github.client_id,
        client_secret=pulumi.Output.secret(secrets.github_client_secret.get_secret_value()),
        allowed_organizations=github.allowed_organizations,
        allowed_users=github.allowed_users,
        admin_users=github.admin_users,
    )
