"""A Kubernetes API server, spoken to in terms of objects rather than URLs."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from lab.plugins.kubernetes import connection
from lab.plugins.kubernetes.kubeconfig import Access
from lab.plugins.provider import PluginError

Object = dict[str, Any]

APPLY = "application/apply-patch+yaml"

_TIMEOUT = urllib3.Timeout(connect=10, read=60)
"""Seconds."""


class UnreachableError(PluginError):
    """The API server does not answer."""


class UnknownKindError(PluginError):
    """The API server does not know this kind of object."""


class ApiError(PluginError):
    """The API server refused.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' own word for it, such as ``AlreadyExists``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """Names one object."""

    api_version: str
    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def id(self) -> str:
        """The published plugin's name for it: ``namespace/name``, or ``name``."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Resource:
    plural: str
    namespaced: bool


class Cluster:
    """One cluster's API server."""

    def __init__(self, access: Access) -> None:
        self._host = str(access.cluster["server"]).rstrip("/")
        self._pool = connection.pool(access)
        self._headers = {"Accept": "application/json", **connection.headers(access)}
        self._known: dict[tuple[str, str], _Resource] = {}
        self._lock = threading.Lock()

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Do objects of this kind live in namespaces?

        Raises:
            UnknownKindError: if the server does not know the kind.
        """
        return self._resource(api_version, kind).namespaced

    def knows(self, api_version: str, kind: str) -> bool:
        """Does the server know this kind?"""
        try:
            self._resource(api_version, kind)
        except UnknownKindError:
            return False
        return True

    def get(self, reference: Reference) -> Object | None:
        """The object, or None if there is none (or no such kind any more)."""
        try:
            return self._call("GET", self._path(reference))
        except UnknownKindError:
            return None
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(
        self, item: Object, reference: Reference, *, manager: str, force: bool, dry_run: bool
    ) -> Object:
        """Creates or changes an object by server-side apply.

        Args:
            item: the fields that the manager wants.
            manager: in whose name the fields are owned.
            force: take over fields that others own?
            dry_run: only tell what it would become?

        Returns:
            The whole object as the server keeps it.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return self._call("PATCH", f"{self._path(reference)}?{urlencode(query)}", item, APPLY)

    def delete(self, reference: Reference, *, propagation: str, uid: str) -> None:
        """Asks for an object's deletion; one that is gone, or has another uid, is fine."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        try:
            self._call("DELETE", self._path(reference), options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def list(self, api_version: str, kind: str, namespace: str, labels: str = "") -> list[Object]:
        """The objects of a kind in a namespace.

        Args:
            labels: a label selector; all objects if empty.
        """
        reference = Reference(api_version=api_version, kind=kind, name="", namespace=namespace)
        query = f"?{urlencode({'labelSelector': labels})}" if labels else ""
        found: list[Object] = self._call("GET", self._path(reference).rstrip("/") + query)["items"]
        return found

    def _path(self, reference: Reference) -> str:
        resource = self._resource(reference.api_version, reference.kind)
        path = _group_path(reference.api_version)
        if resource.namespaced:
            path += f"/namespaces/{quote(reference.namespace or 'default', safe='')}"
        return f"{path}/{resource.plural}/{quote(reference.name, safe='')}"

    def _resource(self, api_version: str, kind: str) -> _Resource:
        with self._lock:
            if (api_version, kind) not in self._known:
                # Asked again for every kind not seen yet: it may have been defined a moment ago.
                self._discover(api_version)
            try:
                return self._known[api_version, kind]
            except KeyError:
                raise UnknownKindError(
                    f"the cluster knows no {kind} of {api_version}; create its CustomResourceDefinition first"
                ) from None

    def _discover(self, api_version: str) -> None:
        try:
            listing = self._call("GET", _group_path(api_version))
        except ApiError as error:
            if error.status == 404:
                return
            raise
        for resource in listing["resources"]:
            if "/" not in resource["name"]:
                self._known[api_version, resource["kind"]] = _Resource(
                    plural=resource["name"], namespaced=resource["namespaced"]
                )

    def _call(self, method: str, path: str, body: Object | None = None, content: str = "") -> Object:
        try:
            response = self._pool.request(
                method,
                self._host + path,
                body=json.dumps(body) if body is not None else None,
                headers={**self._headers, "Content-Type": content or "application/json"},
                timeout=_TIMEOUT,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(
                f"configured Kubernetes cluster is unreachable: {self._host} does not answer: {_brief(error)}"
            ) from error
        try:
            answer: Object = json.loads(response.data)
        except ValueError:
            answer = {"message": f"the server answers with HTTP status {response.status} and no JSON"}
        if response.status >= 400:
            raise _api_error(response.status, answer)
        return answer


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _api_error(code: int, status: Object) -> ApiError:
    causes = (status.get("details") or {}).get("causes") or []
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    message = str(status.get("message") or "no reason given")
    if conflicts:
        fields = "; ".join(f"{cause.get('field')}: {cause.get('message')}" for cause in conflicts)
        message = (
            f"others own fields that the program sets ({fields}). Leave these fields to them, or take them "
            'over with the annotation pulumi.com/patchForce: "true"'
        )
    return ApiError(code, str(status.get("reason") or ""), message)


def _brief(error: Exception) -> str:
    # urllib3 puts its own objects before the system's words.
    return str(error).rpartition(": ")[2] or type(error).__name__
