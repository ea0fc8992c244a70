"""The Kubernetes plugin as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from lab.plugins.children import Children
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import settings
from lab.plugins.kubernetes.objects import Objects
from lab.plugins.kubernetes.release import Releases
from lab.plugins.kubernetes.scope import is_builtin
from lab.plugins.kubernetes.session import Session
from lab.plugins.provider import Cancellation, Difference, Kind, PluginError, Problem
from lab.plugins.values import Properties

VERSION = "4.34.2"
"""The published plugin whose place this one takes."""

_RELEASE = "kubernetes:helm.sh/v3:Release"
_USE_INSTEAD = {
    "helm.sh": "use helm.v3.Release",
    "kustomize": "declare the objects themselves",
    "yaml": "declare the objects themselves",
}


class Kubernetes:
    """The provider."""

    version = VERSION

    def __init__(self, engine: Engine, cancellation: Cancellation, children: Children) -> None:
        self._engine = engine
        self._cancellation = cancellation
        self._children = children
        self._objects: Objects | None = None
        self._releases: Releases | None = None

    def check_config(self, given: Properties) -> Sequence[Problem]:
        """Refuses unknown settings and unreadable kubeconfigs."""
        return settings.problems(given)

    def diff_config(self, old: Properties, new: Properties) -> Difference:
        """Is it still the same cluster?"""
        return settings.difference(old, new)

    def configure(self, given: Properties) -> None:
        """Takes the settings; the cluster itself is only looked for when it is needed."""
        session = Session(settings.parse(given), self._engine, self._cancellation)
        self._objects = Objects(session, self._engine)
        self._releases = Releases(session, self._engine, self._children)

    def kind(self, resource_type: str) -> Kind:
        """Releases, or objects of any kind.

        Raises:
            PluginError: for what stands for many objects or for parts of one.
        """
        if self._objects is None or self._releases is None:
            raise PluginError("the provider has not been configured")
        if resource_type == _RELEASE:
            return self._releases
        _, module, name = resource_type.split(":")
        family = module.split("/")[0]
        if family in _USE_INSTEAD:
            raise PluginError(_refusal(resource_type, _USE_INSTEAD[family]))
        if is_builtin(module) and name.endswith(("List", "Patch")):
            raise PluginError(_refusal(resource_type, "declare the objects themselves"))
        return self._objects

    def invoke(self, function: str, _arguments: Properties) -> Properties:
        """Refuses: the published plugin's functions serve the kinds that this one refuses too."""
        family = function.split(":")[1].partition("/")[0]
        raise PluginError(_refusal(function, _USE_INSTEAD.get(family, "declare the objects themselves")))


def _refusal(what: str, cure: str) -> str:
    return f"{what} is not offered by the lab's own Kubernetes plugin; {cure}"
