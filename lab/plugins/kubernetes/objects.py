"""Kubernetes objects of any kind as Pulumi resources, by server-side apply."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from lab.plugins.differences import differences, touches
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import drift, naming
from lab.plugins.kubernetes.client import ApiError, Cluster, Reference, UnknownKindError, UnreachableError
from lab.plugins.kubernetes.replacement import forced
from lab.plugins.kubernetes.scope import is_namespaced, reference
from lab.plugins.kubernetes.session import Session
from lab.plugins.provider import (
    Difference,
    PluginError,
    Problem,
    Resource,
    State,
    UnfinishedError,
)
from lab.plugins.values import UNKNOWN, Properties, Secret, has_unknowns, hide_like, reveal

PATCH_FORCE = "pulumi.com/patchForce"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"

_MANAGER = "__fieldManager"
_FIRST_VERSION = "__initialApiVersion"

_PROPAGATIONS = {"orphan": "Orphan", "background": "Background"}


class Objects:
    """Every kind of object but Helm releases."""

    def __init__(self, session: Session, engine: Engine) -> None:
        self._session = session
        self._engine = engine

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """Fills in the name and the namespace."""
        item = resource.inputs
        problems = [
            Problem(property=name, reason=f"{name} must be set")
            for name in ("apiVersion", "kind")
            if not item.get(name)
        ]
        if naming.metadata(item).get("generateName"):
            reason = "is not offered by the lab's own plugin; leave it out, and a name is made up"
            problems.append(Problem(property="metadata.generateName", reason=reason))
        if problems:
            return item, problems
        item = naming.named(item, resource.old_inputs, resource.name, resource.seed)
        namespace = self._session.namespace
        if (
            namespace
            and item["metadata"] is not UNKNOWN
            and not naming.metadata(item).get("namespace")
            and is_namespaced(item["apiVersion"], item["kind"], self._session.cluster_if_reachable())
        ):
            item = naming.with_metadata(item, lambda about: {**about, "namespace": namespace})
        return _with_hidden_data(item), []

    def diff(self, resource: Resource) -> Difference:
        """Compares what was declared (or, after a refresh, found) with what is declared now."""
        old, new = reveal(resource.old_inputs), reveal(resource.inputs)
        cluster = self._session.cluster_if_reachable()
        changes = differences(_canonical(old, cluster), _canonical(new, cluster))
        fixed = forced(new, self._session.settings)
        replaces = [path for path in changes if touches(path, fixed)]
        same_name = _identity(old) == _identity(new) and not naming.is_autonamed(new)
        return Difference(
            changes=changes, replaces=replaces, delete_before_replace=bool(replaces) and same_name
        )

    def create(self, resource: Resource) -> State:
        """Applies an object that must not exist yet, and waits until it is of use."""
        item = reveal(resource.inputs)
        manager = f"pulumi-kubernetes-{secrets.token_hex(4)}"
        if resource.preview:
            return self._preview(resource, item, manager)
        cluster = self._session.cluster()
        target = reference(item, cluster)
        if not self._session.settings.upsert and cluster.get(target):
            raise PluginError(
                f"{target} exists already and is not this stack's. Import it (`pulumi import`), give the "
                "new one another name, or set the provider's `upsert_existing_objects`."
            )
        live = self._apply(cluster, item, target, manager, f"{target} was not created")
        return self._ready(resource, live, target, manager)

    def read(self, resource: Resource) -> State | None:
        """Finds an object, and which of its declared fields are in force."""
        declared = reveal(resource.old_inputs)
        known = declared or reveal(resource.outputs)
        namespace, _, name = resource.id.rpartition("/")
        api_version, kind = known.get("apiVersion"), known.get("kind")
        if not api_version or not kind:
            api_version, kind = _type_of(resource.type)
        target = Reference(api_version=api_version, kind=kind, name=name, namespace=namespace)
        try:
            cluster = self._session.cluster()
            live = cluster.get(target)
        except UnreachableError as error:
            return self._unreachable(resource, error)
        if live is None:
            return None
        manager = str(resource.outputs.get(_MANAGER) or f"pulumi-kubernetes-{secrets.token_hex(4)}")
        inputs = self._in_force(cluster, declared, live, target, manager) if declared else None
        inputs = hide_like(inputs or drift.without_bookkeeping(live), resource.old_inputs)
        state = State(
            id=resource.id,
            outputs=_outputs(live, resource.old_inputs, manager),
            inputs=_with_hidden_data(inputs),
        )
        try:
            reason = self._session.waiter().unready(live)
        except PluginError as error:
            reason = str(error)
        if reason:
            raise UnfinishedError(f"{target}: {reason}", state)
        return state

    def update(self, resource: Resource) -> State:
        """Applies a changed object and waits until the change is in force."""
        item = reveal(resource.inputs)
        manager = str(resource.outputs.get(_MANAGER) or f"pulumi-kubernetes-{secrets.token_hex(4)}")
        if resource.preview:
            return self._preview(resource, item, manager)
        cluster = self._session.cluster()
        target = reference(item, cluster)
        if cluster.get(target) is None:
            raise PluginError(
                f"{target} is gone from the cluster. Run `pulumi up --refresh` to make it again."
            )
        live = self._apply(cluster, item, target, manager, f"{target} was not updated")
        return self._ready(resource, live, target, manager)

    def delete(self, resource: Resource) -> None:
        """Deletes an object and waits until its finalizers are through."""
        item = reveal(resource.outputs)
        try:
            cluster = self._session.cluster()
            target = reference(item, cluster)
            live = cluster.get(target)
        except UnreachableError as error:
            self._unreachable(resource, error)
            return
        if live is None:
            return
        annotations = naming.metadata(item).get("annotations") or {}
        propagation = _PROPAGATIONS.get(str(annotations.get(PROPAGATION, "")).lower(), "Foreground")
        cluster.delete(target, propagation=propagation, uid=live["metadata"]["uid"])
        self._session.waiter().until_gone(live, target, resource.timeout)

    def _apply(
        self, cluster: Cluster, item: Properties, target: Reference, manager: str, failure: str
    ) -> dict[str, Any]:
        try:
            return cluster.apply(item, target, manager=manager, force=self._force(item), dry_run=False)
        except (ApiError, UnknownKindError) as error:
            raise PluginError(f"{failure}: {error}") from error

    def _ready(self, resource: Resource, live: dict[str, Any], target: Reference, manager: str) -> State:
        try:
            live = self._session.waiter().until_ready(live, target, resource.timeout, resource.urn)
        except PluginError as error:
            state = State(id=target.id, outputs=_outputs(live, resource.inputs, manager))
            raise UnfinishedError(f"{target} was applied, but {error}", state) from error
        return State(id=target.id, outputs=_outputs(live, resource.inputs, manager))

    def _preview(self, resource: Resource, item: Properties, manager: str) -> State:
        # The server is asked what it would make of the object. Where it cannot say, because something
        # that comes before is not there yet, the declaration itself is the best guess.
        guess = State(id=resource.id, outputs=resource.inputs)
        if has_unknowns(item):
            return guess
        try:
            cluster = self._session.cluster()
            target = reference(item, cluster)
            if not cluster.knows(target.api_version, target.kind):
                return guess
            if not resource.id and cluster.get(target):
                return guess
            live = cluster.apply(item, target, manager=manager, force=self._force(item), dry_run=True)
        except UnreachableError as error:
            self._engine.warn(str(error), resource.urn)
            return guess
        except ApiError as error:
            if error.status in (403, 404):
                return guess
            raise PluginError(f"{target} would be refused: {error}") from error
        live.pop("status", None)
        return State(id=resource.id, outputs=_outputs(live, resource.inputs, manager))

    def _in_force(
        self,
        cluster: Cluster,
        declared: Properties,
        live: dict[str, Any],
        target: Reference,
        manager: str,
    ) -> Properties:
        try:
            applied = cluster.apply(declared, target, manager=manager, force=True, dry_run=True)
        except ApiError:
            # Some drift cannot be undone by an update; then the fields are compared as they stand.
            applied = declared
        found: Properties = drift.in_force(
            declared,
            drift.with_string_data(applied, declared),
            drift.with_string_data(live, declared),
        )
        return found

    def _unreachable(self, resource: Resource, error: UnreachableError) -> State | None:
        if self._session.settings.delete_unreachable:
            self._engine.warn(f"{error}; it is forgotten because deleteUnreachable is set", resource.urn)
            return None
        if self._session.settings.skip_update_unreachable:
            self._engine.warn(f"{error}; the state may be out of date", resource.urn)
            return State(id=resource.id, outputs=resource.outputs, inputs=resource.old_inputs)
        raise PluginError(
            f"{error}. If the cluster was deleted, set the environment variable "
            'PULUMI_K8S_DELETE_UNREACHABLE="true" to forget what was in it.'
        ) from error

    def _force(self, item: Properties) -> bool:
        annotations = naming.metadata(item).get("annotations") or {}
        annotated = annotations.get(PATCH_FORCE)
        return self._session.settings.patch_force if annotated is None else annotated == "true"


def _outputs(live: dict[str, Any], inputs: Properties, manager: str) -> Properties:
    # Who owns which field is the server's bookkeeping; in the state it would only be noise.
    about = {name: value for name, value in live["metadata"].items() if name != "managedFields"}
    outputs: Properties = hide_like({**live, "metadata": about}, inputs)
    return {
        **_with_hidden_data(outputs),
        _MANAGER: manager,
        _FIRST_VERSION: str(inputs.get("apiVersion") or live["apiVersion"]),
    }


def _with_hidden_data(item: Properties) -> Properties:
    if item.get("kind") != "Secret":
        return item
    hidden: Properties = {
        name: Secret(item[name])
        for name in ("data", "stringData")
        if name in item and not isinstance(item[name], Secret)
    }
    return {**item, **hidden}


def _canonical(item: Properties, cluster: Cluster | None) -> Properties:
    # No namespace and the namespace "default" are the same; outside of namespaces none means anything.
    about = item.get("metadata")
    if not isinstance(about, dict):
        return item
    namespace = None
    if is_namespaced(str(item.get("apiVersion")), str(item.get("kind")), cluster):
        namespace = about.get("namespace") or "default"
    return {**item, "metadata": {**about, "namespace": namespace}}


def _identity(item: Properties) -> tuple[Any, Any]:
    about = naming.metadata(item)
    return about.get("name"), about.get("namespace") or "default"


def _type_of(resource_type: str) -> tuple[str, str]:
    _, api_version, kind = resource_type.split(":")
    return api_version.removeprefix("core/"), kind
