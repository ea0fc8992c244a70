"""From the settings to the hub's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pulumi
from pydantic import SecretStr

from components.jupyterhub import (
    Chart,
    CILogonLogin,
    Command,
    GitHubLogin,
    HomeVolumes,
    IdentityProvider,
    Image,
    JupyterHubArgs,
    Login,
    Profile,
    Registry,
    SharedDrive,
    SharedHomes,
    Tutorials,
    WorkshopLogin,
)
from stacks import charts, flavors
from stacks.prices import rate
from stacks.settings import Settings

Hide = Callable[[SecretStr], object]
"""Puts a secret into the hub's arguments in a form that does not show it."""


def pulumi_secret(secret: SecretStr) -> pulumi.Output[str]:
    """A secret that stays one in Pulumi's state and in what it prints."""
    return pulumi.Output.secret(secret.get_secret_value())


def hub_args(
    settings: Settings,
    *,
    namespace: pulumi.Input[str],
    storage_class: str,
    before_release: Sequence[pulumi.Resource] = (),
    shared_homes_source: Mapping[str, object] | None = None,
    shared_drive_source: Mapping[str, object] | None = None,
    hide: Hide = pulumi_secret,
) -> JupyterHubArgs:
    """The hub's arguments.

    Args:
        settings: the stack's settings.
        namespace: the hub's.
        storage_class: name of the class that makes its volumes.
        before_release: resources that each installation or upgrade of the chart waits for.
        shared_homes_source: the volume of shared homes as in a pod's ``volumes``, such as ``{"nfs": {...}}``;
            needed where the settings have them.
        shared_drive_source: the same of the shared drive; needed where the settings have one.
        hide: how secrets are handed over.

    Raises:
        ValueError: if the settings have shared homes or a shared drive that is not given, or no complete
            login; settings that were parsed have one.
    """
    hub, storage = settings.hub, settings.storage
    return JupyterHubArgs(
        namespace=namespace,
        chart=_chart(settings),
        image=Image(name=hub.image.name, tag=hub.image.tag, digest=hub.image.digest),
        registry=_registry(settings, hide),
        environment=dict(hub.extra_env),
        start_commands=[
            Command(name=command.name, run=command.run, must_succeed=command.must_succeed)
            for command in hub.start_commands
        ],
        tutorials=None if hub.tutorials is None else Tutorials(**hub.tutorials.model_dump()),
        default_url=hub.default_url,
        start_timeout_s=hub.start_timeout_s,
        profiles=profiles(settings),
        announcement=hub.notice,
        login=_login(settings, hide),
        homes=_homes(settings, storage_class, shared_homes_source),
        shared_drive=_shared_drive(settings, shared_drive_source),
        database_storage_class=storage_class,
        hub_database_gib=storage.hub_database_gib,
        idle_minutes=settings.culling.idle_minutes,
        kernel_idle_minutes=settings.culling.kernel_idle_minutes,
        max_age_hours=settings.culling.max_age_hours,
        keys_generation=hub.keys_generation,
        before_release=before_release,
    )


def profiles(settings: Settings) -> list[Profile]:
    """Users' choices, each with its part of a node and its price.

    Raises:
        KeyError: if a profile's pool or its flavor is unknown; settings that were parsed have none such.
    """
    made = []
    for profile in settings.profiles:
        pool = settings.pools[profile.pool]
        shape = settings.shape(pool.flavor)
        if shape is None:
            raise KeyError(profile.pool)
        whole = flavors.for_users(shape)
        part = flavors.share(shape, profile.users_per_node or 1)
        if profile.memory_gib is not None and profile.cpus is not None:
            part = flavors.Share(memory_mib=int(profile.memory_gib * 1024), cpus=profile.cpus)
        fit = flavors.per_node(shape, part)
        node_rate = rate(settings, pool.flavor)
        made.append(
            Profile(
                name=profile.name,
                title=profile.title,
                description=profile.description,
                pool=profile.pool,
                memory_mib=part.memory_mib,
                cpus=part.cpus,
                cpu_limit=whole.cpus,
                su_per_hour=None if node_rate is None else node_rate / fit,
                per_node=fit,
                max_nodes=pool.max,
                default=profile.default,
                closed=profile.closed,
            )
        )
    return made


def _chart(settings: Settings) -> Chart:
    source = charts.source(settings.chart)
    return Chart(chart=source.chart, repository=source.repository, version=source.version)


def _registry(settings: Settings, hide: Hide) -> Registry | None:
    registry, password = settings.hub.registry, settings.secrets.registry_password
    if registry is None or password is None:
        return None
    return Registry(server=registry.server, username=registry.username, password=hide(password))


def _homes(
    settings: Settings, storage_class: str, source: Mapping[str, object] | None
) -> HomeVolumes | SharedHomes:
    if settings.storage.homes == "volume":
        return HomeVolumes(storage_class=storage_class, gib=settings.storage.home_gib)
    if source is None:
        raise ValueError("the settings have shared homes, and where they are mounted from is not given")
    return SharedHomes(source=source)


def _shared_drive(settings: Settings, source: Mapping[str, object] | None) -> SharedDrive | None:
    drive = settings.storage.shared_drive
    if drive is None:
        return None
    if source is None:
        raise ValueError("the settings have a shared drive, and where it is mounted from is not given")
    return SharedDrive(source=source, writable=drive.writable)


def _login(settings: Settings, hide: Hide) -> Login:
    login, secrets, host = settings.authentication, settings.secrets, settings.hub.host
    if login.github is not None and host is not None and secrets.github_client_secret is not None:
        return GitHubLogin(
            host=host,
            client_id=login.github.client_id,
            client_secret=hide(secrets.github_client_secret),
            allowed_organizations=login.github.allowed_organizations,
            allowed_teams=login.github.allowed_teams,
            allowed_users=login.github.allowed_users,
            admin_users=login.github.admin_users,
        )
    if login.cilogon is not None and host is not None and secrets.cilogon_client_secret is not None:
        return CILogonLogin(
            host=host,
            client_id=login.cilogon.client_id,
            client_secret=hide(secrets.cilogon_client_secret),
            providers={
                entity_id: IdentityProvider(
                    username_claim=provider.username_claim, allow_all=provider.allow_all
                )
                for entity_id, provider in login.cilogon.allowed_idps.items()
            },
            allowed_users=login.cilogon.allowed_users,
            admin_users=login.cilogon.admin_users,
        )
    if not login.workshop:
        raise ValueError("the settings have no complete way to log in")
    password = secrets.workshop_password
    return WorkshopLogin(password=None if password is None else hide(password))
