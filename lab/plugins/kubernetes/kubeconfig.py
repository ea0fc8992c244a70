"""Kubeconfigs: reading them, and the one cluster and user in them that the provider speaks to."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import yaml

from lab.plugins.provider import PluginError

_CURE = "Set the provider's `kubeconfig` to the text or the path of a kubeconfig."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach one cluster.

    Attributes:
        config: a kubeconfig with that cluster, one user and one context.
        namespace: the context's namespace, or empty.
    """

    config: dict[str, Any]
    namespace: str

    @property
    def cluster(self) -> dict[str, Any]:
        """The cluster's address and CA."""
        found: dict[str, Any] = self.config["clusters"][0]["cluster"]
        return found


def access(text_or_path: str | None, context: str | None = None, cluster: str | None = None) -> Access:
    """The cluster that a kubeconfig means.

    Args:
        text_or_path: a kubeconfig's text or path; None for the one that kubectl would take.
        context: the name of a context; its current one if None.
        cluster: the name of a cluster; the context's if None.

    Raises:
        PluginError: if there is none, or it does not hold what is asked of it.
    """
    config = _load(text_or_path)
    chosen = context or config.get("current-context")
    if not chosen:
        raise PluginError(f"The kubeconfig names no current-context. {_CURE}")
    about = _named(config, "contexts", chosen, "context")
    found = _named(config, "clusters", cluster or about.get("cluster"), "cluster")
    if not found.get("server"):
        raise PluginError(f"The kubeconfig's cluster {about.get('cluster')!r} has no `server`. {_CURE}")
    user = _named(config, "users", about["user"], "user") if about.get("user") else {}
    namespace = str(about.get("namespace") or "")
    context_about = {"cluster": "cluster", "user": "user"} | ({"namespace": namespace} if namespace else {})
    return Access(
        config={
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": found}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "context", "context": context_about}],
            "current-context": "context",
        },
        namespace=namespace,
    )


def _load(text_or_path: str | None) -> dict[str, Any]:
    if not text_or_path:
        default = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
        text = _read(Path(default).expanduser())
    elif "\n" in text_or_path or ":" in text_or_path:
        text = text_or_path
    else:
        text = _read(Path(text_or_path).expanduser())
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The parser's own words quote the text, which holds keys.
        raise PluginError(f"The kubeconfig is not YAML. {_CURE}") from error
    if not isinstance(config, dict) or "clusters" not in config:
        raise PluginError(f"The kubeconfig holds no clusters. {_CURE}")
    return config


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise PluginError(f"No kubeconfig at {path} ({error.strerror}). {_CURE}") from error


def _named(config: dict[str, Any], section: str, name: object, what: str) -> dict[str, Any]:
    entries = [entry for entry in config.get(section) or [] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name:
            return dict(entry.get(what) or {})
    known = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise PluginError(f"The kubeconfig has no {what} {name!r}; it has: {known}.")
