"""The ``helm`` program, with a cluster's credentials that never touch a disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from lab.plugins.children import Children
from lab.plugins.kubernetes.client import UnreachableError
from lab.plugins.kubernetes.session import Session
from lab.plugins.output import Finished
from lab.plugins.provider import PluginError


class HelmError(PluginError):
    """Helm failed; the text is its own."""


class Helm:
    """Runs ``helm`` against the provider's cluster."""

    def __init__(self, session: Session, children: Children) -> None:
        self._session = session
        self._children = children

    def run(self, arguments: Sequence[str], *, stdin: str = "", despite_interrupt: bool = False) -> str:
        """Runs a command against the cluster.

        Args:
            arguments: never hold a value or a secret; values go by standard input (``--values -``).
            stdin: its standard input.
            despite_interrupt: see `Children.run`.

        Returns:
            Its standard output.

        Raises:
            HelmError: if it fails.
            UnreachableError: if the cluster does not answer; then it has not begun.
            CancelledError: if the operator interrupts.
        """
        with _in_memory(yaml.safe_dump(self._session.access.config)) as kubeconfig:
            return self._run(
                arguments,
                stdin,
                {"KUBECONFIG": f"/proc/self/fd/{kubeconfig}"},
                [kubeconfig],
                despite_interrupt,
            )

    def run_offline(self, arguments: Sequence[str], *, stdin: str = "") -> str:
        """Runs a command that asks no cluster; otherwise like `run`."""
        return self._run(arguments, stdin, {"KUBECONFIG": os.devnull}, [], False)

    def status(self, name: str, namespace: str, *, despite_interrupt: bool = False) -> dict[str, Any] | None:
        """A release as Helm keeps it, or None if there is none.

        Returns:
            Helm's own record, with ``chart``, ``chartVersion`` and ``appVersion`` beside it.
        """
        where = ["--namespace", namespace, "--output", "json"]
        try:
            record = json.loads(self.run(["status", name, *where], despite_interrupt=despite_interrupt))
            about = json.loads(
                self.run(["get", "metadata", name, *where], despite_interrupt=despite_interrupt)
            )
        except HelmError as error:
            if "not found" in str(error):
                return None
            raise
        return {
            **record,
            "chart": about["chart"],
            "chartVersion": about["version"],
            "appVersion": about.get("appVersion", ""),
        }

    def _run(
        self,
        arguments: Sequence[str],
        stdin: str,
        environment: dict[str, str],
        files: Sequence[int],
        despite_interrupt: bool,
    ) -> str:
        program = shutil.which("helm")
        if not program:
            raise HelmError("no `helm` on PATH; `python -m lab env` prints the PATH that has one")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HELM_KUBE")}
        finished = self._children.run(
            [program, *arguments],
            stdin=stdin,
            environment={**inherited, **self._session.settings.helm, **environment},
            files=files,
            despite_interrupt=despite_interrupt,
        )
        if finished.code != 0:
            complaint = _complaint(finished)
            if "Kubernetes cluster unreachable" in complaint:
                raise UnreachableError(f"configured Kubernetes cluster is unreachable: {complaint}")
            raise HelmError(complaint)
        return finished.stdout


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[int]:
    descriptor = os.memfd_create("kubeconfig")
    try:
        os.write(descriptor, text.encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _complaint(finished: Finished) -> str:
    # Warnings and the client library's log come first, what matters after "Error:".
    _, found, complaint = finished.stderr.partition("Error: ")
    return complaint.strip() if found else (finished.stderr or finished.stdout).strip()
