"""What all resources of one configured provider share: its settings and the way to its cluster."""

from __future__ import annotations

import functools

from lab.plugins.engine import Engine
from lab.plugins.kubernetes.client import Cluster, UnreachableError
from lab.plugins.kubernetes.kubeconfig import Access, access
from lab.plugins.kubernetes.settings import Settings
from lab.plugins.kubernetes.waiting import Waiter
from lab.plugins.provider import Cancellation, PluginError


class Session:
    """One provider's settings and cluster. The cluster is only looked for when it is needed."""

    def __init__(self, settings: Settings, engine: Engine, cancellation: Cancellation) -> None:
        self.settings = settings
        self._engine = engine
        self._cancellation = cancellation

    @functools.cached_property
    def access(self) -> Access:
        """How to reach the cluster.

        Raises:
            UnreachableError: if the kubeconfig does not say.
        """
        try:
            return access(self.settings.kubeconfig, self.settings.context, self.settings.cluster)
        except PluginError as error:
            raise UnreachableError(f"configured Kubernetes cluster is unreachable: {error}") from error

    @property
    def namespace(self) -> str:
        """Where objects go that name no namespace: the provider's, else the context's, else ``default``."""
        if self.settings.namespace:
            return self.settings.namespace
        try:
            return self.access.namespace or "default"
        except UnreachableError:
            return "default"

    def cluster(self) -> Cluster:
        """The cluster; raises UnreachableError if the kubeconfig names none."""
        return self._cluster

    def cluster_if_reachable(self) -> Cluster | None:
        """The cluster, or None if the kubeconfig names none."""
        try:
            return self._cluster
        except PluginError:
            return None

    def waiter(self) -> Waiter:
        """Waits for objects of the cluster."""
        return Waiter(self.cluster(), self._engine, self._cancellation)

    @functools.cached_property
    def _cluster(self) -> Cluster:
        return Cluster(self.access)
