"""Helm releases as Pulumi resources, by the real ``helm``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from lab.plugins.children import Children
from lab.plugins.differences import differences
from lab.plugins.engine import Engine
from lab.plugins.kubernetes import naming, release_options
from lab.plugins.kubernetes.chart import at_hand, object_names, render
from lab.plugins.kubernetes.client import UnreachableError
from lab.plugins.kubernetes.helm import Helm
from lab.plugins.kubernetes.session import Session
from lab.plugins.kubernetes.waiting import pods_text
from lab.plugins.provider import Difference, PluginError, Problem, Resource, State, UnfinishedError
from lab.plugins.values import UNKNOWN, Properties, has_unknowns, hide_like, reveal

_COMPUTED = ("checksum", "resourceNames")
_IDENTITY = (("name",), ("namespace",))


class Releases:
    """Helm releases."""

    def __init__(self, session: Session, engine: Engine, children: Children) -> None:
        self._session = session
        self._engine = engine
        self._helm = Helm(session, children)

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """Fills in name, namespace, timeout and the chart's version, and renders the chart.

        The checksum of what it renders is an input of its own: so a changed template of a local chart
        is a change, and a chart that does not render is refused before anything is touched.
        """
        inputs = {
            name: value for name, value in resource.inputs.items() if name not in ("compat", *_COMPUTED)
        }
        problems = list(release_options.problems(reveal(inputs)))
        inputs.setdefault(
            "name", resource.old_inputs.get("name") or naming.made_up(resource.name, resource.seed)
        )
        inputs.setdefault("namespace", self._session.namespace)
        if not reveal(inputs.get("skipAwait")):
            inputs.setdefault("timeout", release_options.DEFAULT_TIMEOUT)
        if problems:
            return inputs, problems
        if has_unknowns(inputs):
            return {**inputs, **dict.fromkeys(_COMPUTED, UNKNOWN)}, []
        options = reveal(inputs)
        try:
            values = release_options.values(options)
            with at_hand(options, self._helm) as chart:
                rendered = render(chart, options, values, self._helm)
        except PluginError as error:
            return inputs, [
                Problem(property="chart", reason=f"{error}; check the chart, its source and its values")
            ]
        inputs["version"] = chart.version
        return {**inputs, "checksum": rendered.checksum, "resourceNames": rendered.names}, []

    def diff(self, resource: Resource) -> Difference:
        """Compares the inputs; only another name or namespace needs another release."""
        changes = differences(resource.old_inputs, resource.inputs)
        return Difference(changes=changes, replaces=[path for path in changes if path in _IDENTITY])

    def create(self, resource: Resource) -> State:
        """Installs. A release that fails stays, as with Helm, and is upgraded by the next update."""
        if resource.preview:
            return State(id="", outputs=resource.inputs)
        return self._deploy(resource, "install", release_options.install_flags(reveal(resource.inputs)))

    def update(self, resource: Resource) -> State:
        """Upgrades in place."""
        if resource.preview:
            return State(id=resource.id, outputs=resource.inputs)
        return self._deploy(resource, "upgrade", release_options.upgrade_flags(reveal(resource.inputs)))

    def read(self, resource: Resource) -> State | None:
        """How Helm keeps it; values that were changed by hand show as changed inputs."""
        namespace, _, name = resource.id.rpartition("/")
        try:
            record = self._helm.status(name, namespace or "default")
        except UnreachableError as error:
            self._forget(resource, error)
            return None
        if record is None:
            return None
        inputs = resource.old_inputs or _imported(record)
        options = reveal(inputs)
        live = record.get("config") or {}
        if release_options.values(options) != live:
            inputs = {**inputs, "values": hide_like(live, inputs.get("values"))}
        if options.get("version") != record["chartVersion"]:
            inputs = {**inputs, "version": record["chartVersion"]}
        state = State(id=resource.id, outputs=_outputs(inputs, record), inputs=inputs)
        status = record["info"]["status"]
        if status != "deployed":
            raise UnfinishedError(f"Helm release {resource.id} is {status}", state)
        return state

    def delete(self, resource: Resource) -> None:
        """Uninstalls, and waits for that as for the installation."""
        options = reveal(resource.outputs)
        try:
            self._helm.run(["uninstall", options["name"], *release_options.uninstall_flags(options)])
        except UnreachableError as error:
            self._forget(resource, error)
        except PluginError as error:
            if "release: not found" not in str(error):
                raise PluginError(f"Helm release {resource.id} was not uninstalled: {error}") from error

    def _deploy(self, resource: Resource, verb: str, flags: list[str]) -> State:
        options = reveal(resource.inputs)
        name, namespace = str(options["name"]), str(options["namespace"])
        release = f"{namespace}/{name}"
        stdin = yaml.safe_dump(release_options.values(options))
        try:
            with at_hand(options, self._helm) as chart:
                arguments = [verb, name, str(chart.path), "--values", "-", "--output", "json", *flags]
                self._helm.run(arguments, stdin=stdin)
            record = self._helm.status(name, namespace)
        except PluginError as error:
            record = None if isinstance(error, UnreachableError) else self._after_failure(options)
            if record is None:
                raise PluginError(f"Helm release {release} was not deployed: {error}") from error
            state = State(id=release, outputs=_outputs(resource.inputs, record))
            raise UnfinishedError(self._explanation(release, record, error), state) from error
        if record is None:
            raise PluginError(f"Helm release {release} was deployed, but is gone already")
        return State(id=release, outputs=_outputs(resource.inputs, record))

    def _after_failure(self, options: dict[str, Any]) -> dict[str, Any] | None:
        name, namespace = str(options["name"]), str(options["namespace"])
        try:
            return self._helm.status(name, namespace, despite_interrupt=True)
        except PluginError:
            # Helm had begun, and now the cluster cannot be asked what came of it. To record a release
            # that may not be there is safe, an update installs it; to forget one that is there is not.
            return {
                "name": name,
                "namespace": namespace,
                "version": 0,
                "info": {"status": "unknown"},
                "chart": options["chart"],
                "chartVersion": options.get("version") or "",
                "appVersion": "",
            }

    def _explanation(self, release: str, record: dict[str, Any], failure: PluginError) -> str:
        status = record["info"]["status"]
        text = f"Helm release {release} is there but {status}: {failure}"
        if status.startswith("pending"):
            return (
                f"{text}. An earlier run was killed in the middle: run `helm rollback` for it (or `helm "
                "uninstall`, if it never stood), then `pulumi up --refresh`."
            )
        return text + self._pods(record["name"], record["namespace"])

    def _pods(self, name: str, namespace: str) -> str:
        try:
            pods = self._session.cluster().list("v1", "Pod", namespace)
        except PluginError:
            return ""
        labels = ("release", "app.kubernetes.io/instance")
        ours = [
            pod
            for pod in pods
            if name in [(pod["metadata"].get("labels") or {}).get(label) for label in labels]
        ]
        return pods_text(ours)

    def _forget(self, resource: Resource, error: UnreachableError) -> None:
        if not self._session.settings.delete_unreachable:
            raise PluginError(
                f"{error}. If the cluster was deleted, set the environment variable "
                'PULUMI_K8S_DELETE_UNREACHABLE="true" to forget what was in it.'
            ) from error
        self._engine.warn(f"{error}; it is forgotten because deleteUnreachable is set", resource.urn)


def _outputs(inputs: Properties, record: dict[str, Any]) -> Properties:
    return {
        **inputs,
        "version": record["chartVersion"],
        "resourceNames": object_names(record.get("manifest") or ""),
        "status": {
            "name": record["name"],
            "namespace": record["namespace"],
            "revision": record["version"],
            "status": record["info"]["status"],
            "chart": record["chart"],
            "version": record["chartVersion"],
            "appVersion": record["appVersion"],
        },
    }


def _imported(record: dict[str, Any]) -> Properties:
    return {
        "name": record["name"],
        "namespace": record["namespace"],
        "chart": record["chart"],
        "version": record["chartVersion"],
        "values": record.get("config") or {},
        "timeout": release_options.DEFAULT_TIMEOUT,
    }
