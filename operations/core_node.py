"""Keeps the label and the taint of the core group's nodes. Runs in the cluster, as ``python core_node.py``.

The hub, its proxy and their like live on the node group ``default-worker``; the label tells charts so, and
the taint keeps users' servers away. Nothing that exists keeps both of them there:

- Magnum's driver passes no label and no taint of a node group on to its nodes: the group's name in
  ``capi.stackhpc.com/node-group`` is the only mark that they bear.
- What an operator puts there by hand is gone when a node is replaced: by an upgrade, or by the health check
  that re-creates a node after five minutes of silence.
- Node Feature Discovery would be one more program on every node, and one more beside them; it sets taints
  only behind a flag that it calls experimental.

So this watches the group's nodes and puts back what is missing: idempotent, without a leader (two of it
agree), and never touching another label or taint. It is one file and needs nothing but the standard library
of Python 3.11 or later, so that any plain Python image can run it. ``components/core_node.py`` installs it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import ssl
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GROUP_LABEL, GROUP = "capi.stackhpc.com/node-group", "default-worker"
LABEL, PURPOSE = "hub.jupyter.org/node-purpose", "core"
TAINT = {"key": "hub.jupyter.org/dedicated", "value": "core", "effect": "NoSchedule"}

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts the token of a pod's service account, and the cluster's CA."""

WATCH_SECONDS = 60
"""Length of one watch. After it the nodes are listed anew, so nothing that was missed stays so for longer."""

SILENCE_SECONDS = 75.0
"""A connection that is silent for longer is dead: its watch should have ended by then."""

REQUEST_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0

Node = dict[str, Any]


class ApiError(Exception):
    """The API server refused; the text holds its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answers {status}: {message}")
        self.status = status


TROUBLE = (OSError, http.client.HTTPException, ValueError, ApiError)
"""What ends a round: no connection, half an answer, no JSON, a refusal. The next round begins afresh."""


def change(node: Node) -> dict[str, Any] | None:
    """The merge patch that gives a node its label and its taint; None if it has both.

    The list of taints is replaced as a whole, so the patch is bound to the version of the node that was read:
    a taint that somebody else adds meanwhile makes it fail rather than disappear.
    """
    metadata = node["metadata"]
    taints = node.get("spec", {}).get("taints") or []
    is_labelled = metadata.get("labels", {}).get(LABEL) == PURPOSE
    is_tainted = any(_mark(taint) == TAINT for taint in taints)
    if is_labelled and is_tainted:
        return None
    # A node has one taint of a key and effect at most; another value there would keep our own pods away.
    others = [taint for taint in taints if (taint["key"], taint["effect"]) != (TAINT["key"], TAINT["effect"])]
    return {
        "metadata": {"resourceVersion": metadata["resourceVersion"], "labels": {LABEL: PURPOSE}},
        "spec": {"taints": taints if is_tainted else [*others, TAINT]},
    }


def _mark(taint: dict[str, Any]) -> dict[str, str]:
    return {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}


class Api:
    """The nodes of one cluster, by its API server."""

    def __init__(self, host: str, port: int, credentials: Path) -> None:
        """Reads the cluster's CA.

        Args:
            host: the API server's address.
            port: its port.
            credentials: folder with the files ``token`` and ``ca.crt``.

        Raises:
            OSError: if the CA cannot be read.
        """
        self._address = host, port
        self._token = credentials / "token"
        self._trusted = ssl.create_default_context(cafile=str(credentials / "ca.crt"))
        # Python 3.13 asks for key identifiers, which the CAs that Magnum makes do not have. Signature, name
        # and dates are checked all the same.
        self._trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def nodes(self) -> tuple[list[Node], str]:
        """The group's nodes, and the version of the list."""
        with self._answer("GET", _query({}), None, REQUEST_SECONDS) as answer:
            found = json.load(answer)
        return found["items"], found["metadata"]["resourceVersion"]

    def changed(self, version: str) -> Iterator[Node]:
        """The group's nodes as they come and change after a version, for `WATCH_SECONDS` at most.

        Raises:
            ApiError: if that version is too old.
        """
        query = _query({"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)})
        with self._answer("GET", query, None, SILENCE_SECONDS) as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), event["object"].get("message", ""))
                if event["type"] in ("ADDED", "MODIFIED"):
                    yield event["object"]

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Merges into a node.

        Raises:
            ApiError: 409 if the node has changed meanwhile, 404 if it is gone.
        """
        with self._answer("PATCH", f"/{urllib.parse.quote(name)}", body, REQUEST_SECONDS) as answer:
            answer.read()

    @contextlib.contextmanager
    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        # Read each time, since Kubernetes renews it. And no proxy: this way does not leave the cluster.
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        connection = http.client.HTTPSConnection(*self._address, timeout=timeout, context=self._trusted)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/nodes{path}", text, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, _message(answer.read()))
            yield answer


def _query(parameters: dict[str, str]) -> str:
    return "?" + urllib.parse.urlencode({"labelSelector": f"{GROUP_LABEL}={GROUP}", **parameters})


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def keep(api: Api, node: Node) -> None:
    """Gives a node what it lacks.

    Raises:
        ApiError: if the API server refuses.
    """
    patch = change(node)
    if patch is None:
        return
    name = node["metadata"]["name"]
    try:
        api.patch(name, patch)
    except ApiError as error:
        # Changed or gone since it was read: the watch brings its next version, if there is one.
        if error.status not in (404, 409):
            raise
        return
    say(f"node {name} is marked: label {LABEL}={PURPOSE}, taint {TAINT['key']}={TAINT['value']}")


def one_round(api: Api, ready: Path | None) -> None:
    """Lists the nodes, then follows their changes for as long as a watch lasts.

    Args:
        api: the cluster.
        ready: a file to make once all nodes have been seen.
    """
    nodes, version = api.nodes()
    for node in nodes:
        keep(api, node)
    if ready is not None:
        ready.touch()
    for node in api.changed(version):
        keep(api, node)


def pause(failures: int) -> float:
    """Seconds to wait after so many rounds have failed in a row: doubling, with some chance in it."""
    longest: float = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(failures, 10) / 2)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, guards nothing


def say(text: str) -> None:
    """One line of the log."""
    print(text, flush=True)


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Keeps the label and the taint of the core group's nodes.")
    parser.add_argument(
        "--credentials", type=Path, default=CREDENTIALS, help="folder with token and ca.crt (%(default)s)"
    )
    parser.add_argument("--ready", type=Path, help="file to make once all nodes have been seen")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    """Keeps the nodes until it is told to stop.

    Returns:
        The exit status.
    """
    options = arguments(given)
    # The first process of a container ignores the signal unless it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        address = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        api = Api(*address, options.credentials)
    except (KeyError, ValueError, OSError) as error:
        say(f"This runs in a pod, with a service account's token and the cluster's CA: {error!r} is missing.")
        return 1
    failures = 0
    while True:
        try:
            one_round(api, options.ready)
            failures = 0
        except TROUBLE as error:
            failures += 1
            say(f"trouble, and another try soon: {error}")
            time.sleep(pause(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
