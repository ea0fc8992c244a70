"""A small client of one cluster's API server: plain objects in, plain objects out.

The keeper looks at every object of a cluster all the time, so it goes without the generated client's
typed models, which cost more time and memory than the whole keeper.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import requests

from lab.kubernetes.control_plane import ControlPlane

Object = dict[str, Any]

TIMEOUT = 10.0
"""Seconds for one answer."""

WATCH_SECONDS = 300
"""How long one watch lasts before it is made anew."""

MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused, or could not be reached (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_conflict(self) -> bool:
        """Was the object changed meanwhile, or is it there already?"""
        return self.status == 409


class Api:
    """One connection to an API server, for one thread."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._url = control_plane.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(control_plane.pki("ca.crt"))
        self._session.cert = (str(control_plane.pki("admin.crt")), str(control_plane.pki("admin.key")))

    def is_ready(self) -> bool:
        """Does it say that it is ready?"""
        try:
            return self._session.get(f"{self._url}/readyz", timeout=2).status_code == 200
        except OSError:
            return False

    def get(self, path: str) -> Object | None:
        """An object, or None if there is none."""
        return self._or_none("GET", path)

    def list(self, path: str, **parameters: str) -> tuple[list[Object], str]:
        """A collection and its resource version."""
        found = self._call("GET", path, params=parameters)
        return found["items"], found["metadata"]["resourceVersion"]

    def create(self, path: str, body: Object) -> Object:
        """Creates an object in a collection."""
        return self._call("POST", path, json=body)

    def patch(self, path: str, body: Object) -> Object | None:
        """Merges into an object; None if there is none."""
        return self._or_none("PATCH", path, data=json.dumps(body), headers={"Content-Type": MERGE})

    def delete(self, path: str, body: Object | None = None) -> None:
        """Deletes an object; one that is gone is fine."""
        self._or_none("DELETE", path, json=body)

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Object]]:
        """Changes of a collection since a resource version: ADDED, MODIFIED or DELETED and the object.

        Raises:
            ApiError: 410 if that version is too old.
        """
        parameters = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        with self._translated(), contextlib.ExitStack() as stack:
            answer = stack.enter_context(
                self._session.get(
                    f"{self._url}{path}",
                    params=parameters,
                    stream=True,
                    timeout=(TIMEOUT, WATCH_SECONDS + 30),
                )
            )
            self._check(answer)
            rest = b""
            for chunk in answer.iter_content(chunk_size=None):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        raise ApiError(int(change["object"].get("code", 500)), change["object"]["message"])
                    yield change["type"], change["object"]

    def close(self) -> None:
        """Gives its connections back."""
        self._session.close()

    def _or_none(self, method: str, path: str, **arguments: Any) -> Object | None:
        try:
            return self._call(method, path, **arguments)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _call(self, method: str, path: str, **arguments: Any) -> Object:
        with self._translated():
            answer = self._session.request(method, f"{self._url}{path}", timeout=TIMEOUT, **arguments)
            self._check(answer)
            found: Object = answer.json()
        return found

    @staticmethod
    @contextlib.contextmanager
    def _translated() -> Iterator[None]:
        # Every RequestException is one; certificates that went with their cluster are a bare one.
        try:
            yield
        except OSError as error:
            raise ApiError(0, str(error)) from error

    @staticmethod
    def _check(answer: requests.Response) -> None:
        if answer.status_code < 400:
            return
        try:
            message = str(answer.json()["message"])
        except (ValueError, KeyError):
            message = answer.text[:200]
        raise ApiError(answer.status_code, message)


class Mirror:
    """A copy of one collection, kept up to date by a thread that watches it."""

    def __init__(self, control_plane: ControlPlane, path: str, changed: threading.Event) -> None:
        """Starts to watch.

        Args:
            control_plane: whose API server.
            path: the collection's.
            changed: set after each change.
        """
        self._control_plane = control_plane
        self._path = path
        self._changed = changed
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.is_synced = False
        threading.Thread(target=self._run, name=f"watch {path}", daemon=True).start()

    def objects(self) -> list[Object]:
        """All objects; they are shared, so treat them as read-only."""
        with self._lock:
            return list(self._objects.values())

    def stop(self) -> None:
        """Lets the thread end by itself, at the latest when its watch does."""
        self._stopped.set()

    def _run(self) -> None:
        api = Api(self._control_plane)
        while not self._stopped.is_set():
            # A lost connection or an expired version only means to list again.
            with contextlib.suppress(ApiError):
                self._follow(api)
            self._stopped.wait(0.5)
        api.close()

    def _follow(self, api: Api) -> None:
        items, version = api.list(self._path)
        with self._lock:
            self._objects = {item["metadata"]["uid"]: item for item in items}
        self.is_synced = True
        self._changed.set()
        while not self._stopped.is_set():
            for kind, item in api.watch(self._path, version):
                version = item["metadata"]["resourceVersion"]
                with self._lock:
                    if kind == "DELETED":
                        self._objects.pop(item["metadata"]["uid"], None)
                    else:
                        self._objects[item["metadata"]["uid"]] = item
                self._changed.set()
                if self._stopped.is_set():
                    return
