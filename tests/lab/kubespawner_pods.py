"""Pods and claims of users as the real KubeSpawner makes them from the chart's values."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

import kubernetes_asyncio.client
import kubespawner.spawner  # type: ignore[import-untyped]
from traitlets.config import Config

from tests.lab.chart_config import hub_config

USER_PRIORITY = "jupyterhub-default-priority"
USER_SCHEDULER = "jupyterhub-user-scheduler"


@dataclasses.dataclass(frozen=True)
class UserServer:
    """What KubeSpawner would ask the API server for: a pod, and the claim of a home if homes are claims."""

    pod: dict[str, Any]
    claim: dict[str, Any] | None


def user_servers(
    values: Mapping[str, Any],
    choices: Iterable[tuple[str, str]],
    *,
    namespace: str = "jhub",
) -> list[UserServer]:
    """Pods of users by the real KubeSpawner.

    Args:
        values: the chart's values, with plain texts for secrets.
        choices: user names, each with the slug of the profile that the user picks.
        namespace: of the pods.

    Raises:
        ValueError: if KubeSpawner does not know the profile.
    """
    return asyncio.run(_made(values, list(choices), namespace))


async def _made(
    values: Mapping[str, Any], choices: list[tuple[str, str]], namespace: str
) -> list[UserServer]:
    made = []
    async with kubernetes_asyncio.client.ApiClient() as api:
        plain = api.sanitize_for_serialization
        for index, (user, profile) in enumerate(choices):
            spawner = _spawner(values, user, index, namespace)
            spawner.user_options = {"profile": profile}
            await spawner.load_user_options()
            claim = plain(spawner.get_pvc_manifest()) if spawner.storage_pvc_ensure else None
            made.append(UserServer(plain(await spawner.get_pod_manifest()), claim))
    return made


def _spawner(values: Mapping[str, Any], user: str, index: int, namespace: str) -> Any:
    traits = hub_config(values)
    config = Config({name: traits[name] for name in ("KubeSpawner", "Spawner")})
    config.KubeSpawner.namespace = namespace
    account = kubespawner.spawner.MockObject()
    account.name, account.id, account.url = user, index, f"/user/{user}/"
    # A manifest is made without asking an API server, so there is none to look for.
    with mock.patch.object(kubespawner.spawner, "load_config"):
        return kubespawner.spawner.KubeSpawner(_mock=True, user=account, config=config)
