"""The provider's own settings, with the published plugin's names and meanings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from lab.plugins.differences import Path, differences
from lab.plugins.kubernetes.kubeconfig import access
from lab.plugins.provider import Difference, PluginError, Problem
from lab.plugins.values import UNKNOWN, Properties, reveal

_TEXTS = {"cluster", "clusterIdentifier", "context", "kubeconfig", "namespace"}
_SWITCHES = {
    "alwaysRender",
    "deleteUnreachable",
    "enableConfigMapMutable",
    "enablePatchForce",
    "enableSecretMutable",
    "enableServerSideApply",
    "skipUpdateUnreachable",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
    "upsertExistingObjects",
}
_GROUPS = {"helmReleaseSettings", "kubeClientSettings"}
_KNOWN = _TEXTS | _SWITCHES | _GROUPS | {"renderYamlToDirectory", "version", "pluginDownloadURL"}

_NOT_OFFERED = "is not offered by the lab's own plugin; leave it out"

HELM_ENVIRONMENT = {
    "driver": "HELM_DRIVER",
    "pluginsPath": "HELM_PLUGINS",
    "registryConfigPath": "HELM_REGISTRY_CONFIG",
    "repositoryCache": "HELM_REPOSITORY_CACHE",
    "repositoryConfigPath": "HELM_REPOSITORY_CONFIG",
}
"""Settings for Helm releases, and the variables by which ``helm`` takes them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The provider's settings.

    Attributes:
        kubeconfig: a kubeconfig's text or path, or None for the one that kubectl would take.
        context, cluster: names in the kubeconfig, or None for its own choice.
        namespace: where objects go that name no namespace; empty for the context's own.
        delete_unreachable: forget the objects of a cluster that cannot be reached?
        skip_update_unreachable: believe the state when a cluster cannot be reached?
        config_map_mutable, secret_mutable: update the data in place instead of replacing the object?
        patch_force: take over fields that others own?
        upsert: take over objects that exist already?
        helm: variables for ``helm``.
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    namespace: str = ""
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False
    patch_force: bool = False
    upsert: bool = False
    helm: dict[str, str] = dataclasses.field(default_factory=dict)


def problems(properties: Properties) -> Sequence[Problem]:
    """What is wrong with the settings, before anything is done with them."""
    given = reveal(properties)
    found = [
        Problem(property=name, reason=f"{name!r} is no setting of the Kubernetes provider")
        for name in sorted(set(given) - _KNOWN)
    ]
    for name in sorted(_SWITCHES & set(given)):
        if given[name] is not UNKNOWN and _switch(given, name) is None:
            found.append(Problem(property=name, reason=f"must be true or false, not {given[name]!r}"))
    if given.get("renderYamlToDirectory") or _switch(given, "alwaysRender"):
        found.append(Problem(property="renderYamlToDirectory", reason=_NOT_OFFERED))
    if _switch(given, "enableServerSideApply") is False:
        reason = "cannot be false: the lab's own plugin always uses server-side apply"
        found.append(Problem(property="enableServerSideApply", reason=reason))
    asked = [given.get(name) for name in ("kubeconfig", "context", "cluster")]
    if asked[0] and UNKNOWN not in asked:
        try:
            access(*asked)
        except PluginError as error:
            found.append(Problem(property="kubeconfig", reason=str(error)))
    return found


def parse(properties: Properties) -> Settings:
    """The settings, once `problems` finds nothing wrong with them."""
    given = reveal(properties)
    helm = _group(given, "helmReleaseSettings")
    return Settings(
        kubeconfig=given.get("kubeconfig") or None,
        context=given.get("context") or None,
        cluster=given.get("cluster") or None,
        namespace=given.get("namespace") or "",
        delete_unreachable=bool(_switch(given, "deleteUnreachable")),
        skip_update_unreachable=bool(_switch(given, "skipUpdateUnreachable")),
        config_map_mutable=bool(_switch(given, "enableConfigMapMutable")),
        secret_mutable=bool(_switch(given, "enableSecretMutable")),
        patch_force=bool(_switch(given, "enablePatchForce")),
        upsert=bool(_switch(given, "upsertExistingObjects")),
        helm={HELM_ENVIRONMENT[name]: str(helm[name]) for name in sorted(HELM_ENVIRONMENT) if name in helm},
    )


def difference(old: Properties, new: Properties) -> Difference:
    """What changed settings mean: an update, or the replacement of everything in the cluster.

    With `clusterIdentifier` on both sides that alone decides. Without, another address or CA of the
    cluster counts as another cluster, and so does a kubeconfig that is not known yet.
    """
    before, after = reveal(old), reveal(new)
    changes = differences(before, after)
    if before.get("clusterIdentifier") and after.get("clusterIdentifier"):
        same = ("clusterIdentifier",) not in changes
        return Difference(changes=changes, replaces=() if same else [("clusterIdentifier",)])
    if changes and not _same_cluster(before, after):
        replaces: list[Path] = list(changes)
        return Difference(changes=changes, replaces=replaces)
    return Difference(changes=changes)


def _same_cluster(before: Properties, after: Properties) -> bool:
    asked = [[given.get(name) for name in ("kubeconfig", "context", "cluster")] for given in (before, after)]
    if asked[0] == asked[1]:
        return True
    if UNKNOWN in asked[1]:
        return False
    try:
        return access(*asked[0]).cluster == access(*asked[1]).cluster
    except PluginError:
        return False


def _switch(given: Properties, name: str) -> bool | None:
    # The engine passes a provider's settings on as JSON text.
    value = given.get(name)
    return (
        {True: True, "true": True, False: False, "false": False}.get(value) if value is not UNKNOWN else None
    )


def _group(given: Properties, name: str) -> dict[str, Any]:
    value = given.get(name) or {}
    parsed = json.loads(value) if isinstance(value, str) else value
    return parsed if isinstance(parsed, dict) else {}
