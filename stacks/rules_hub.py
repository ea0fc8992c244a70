"""Rules of the hub that need more than one setting. Each yields its problems, and stops at none."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.charts import Chart
from stacks.problems import Problem, key_path
from stacks.settings import Settings

DEPTH_VARIABLE = "NBGITPULLER_DEPTH"
"""The variable that tells nbgitpuller how many commits to fetch; the program sets it itself."""


def charts_have_one_source(settings: Settings) -> Iterator[Problem]:
    """Each chart comes from a folder, or from a repository in one exact version."""
    yield from _source(settings.chart, "chart")
    for name in type(settings.charts).model_fields:
        yield from _source(getattr(settings.charts, name), "charts", name)


def _source(chart: Chart, *path: str) -> Iterator[Problem]:
    if (chart.path is None) == (chart.repository is None):
        yield Problem(
            path=key_path(*path),
            message="needs exactly one of repository (a Helm repository) and path (a folder with a chart)",
        )
    elif chart.repository is not None and chart.version is None:
        yield Problem(
            path=key_path(*path, "version"),
            message="is missing; name one exact version, such as 4.4.0, so that no run upgrades by chance",
        )
    elif chart.path is not None and chart.version is not None:
        yield Problem(
            path=key_path(*path, "version"),
            value=chart.version,
            message="has no meaning beside path, whose folder tells its own version; remove it",
        )


def start_commands_are_distinct(settings: Settings) -> Iterator[Problem]:
    """No two have one name: the log could not tell them apart."""
    seen: set[str] = set()
    for index, command in enumerate(settings.hub.start_commands):
        if command.name in seen:
            yield Problem(
                path=key_path("hub", "start_commands", index, "name"),
                value=command.name,
                message="is the name of an earlier command too; give each command its own",
            )
        seen.add(command.name)


def depth_is_said_once(settings: Settings) -> Iterator[Problem]:
    """The depth of the tutorials has a setting of its own."""
    if settings.hub.tutorials is not None and DEPTH_VARIABLE in settings.hub.extra_env:
        yield Problem(
            path=key_path("hub", "extra_env", DEPTH_VARIABLE),
            value=settings.hub.extra_env[DEPTH_VARIABLE],
            message=f"is set by the program; remove it, and set {key_path('hub', 'tutorials', 'depth')}",
        )


def registry_has_a_password(settings: Settings) -> Iterator[Problem]:
    """Who pulls the image proves it."""
    has_password = settings.secrets.registry_password is not None
    if settings.hub.registry is not None and not has_password:
        yield missing_secret("registry_password")
    elif settings.hub.registry is None and has_password:
        yield Problem(
            path=key_path("hub", "registry"),
            message="is missing beside its password; set server and username, or remove "
            f"{key_path('secrets', 'registry_password')}",
        )


def homes_have_a_size(settings: Settings) -> Iterator[Problem]:
    """Shared homes live on one volume, and a volume for each user needs none."""
    storage = settings.storage
    path = key_path("storage", "homes_volume_gib")
    if storage.homes == "shared":
        if storage.homes_volume_gib is None:
            yield Problem(path=path, message="is missing; shared homes need the size of their volume in GiB")
        elif storage.homes_volume_gib < storage.home_gib:
            yield Problem(
                path=path,
                value=storage.homes_volume_gib,
                message=f"is less than one home, which is {storage.home_gib}; set home_gib times the users",
            )
    elif storage.homes_volume_gib is not None:
        yield Problem(
            path=path,
            value=storage.homes_volume_gib,
            message="has no meaning with homes: volume; remove it, or set homes: shared",
        )


def missing_secret(name: str) -> Problem:
    """The problem of a secret that is needed and not there, with the command that sets it."""
    path = key_path("secrets", name)
    return Problem(path=path, message=f"is missing; run `pulumi config set --secret --path '{path}'`")
