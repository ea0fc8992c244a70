"""Helm charts: from a folder, an archive, a repository or a registry, and what they render."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lab.plugins.kubernetes.helm import Helm
from lab.plugins.kubernetes.release_options import render_flags
from lab.plugins.provider import PluginError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart that lies on this machine.

    Attributes:
        path: its folder or archive.
        version: its own version.
    """

    path: Path
    version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a chart becomes with some values.

    Attributes:
        checksum: of all its objects, as hexadecimal digits.
        names: its objects' names by ``Kind.group/version``.
    """

    checksum: str
    names: dict[str, list[str]]


@contextlib.contextmanager
def at_hand(options: dict[str, Any], helm: Helm) -> Iterator[Chart]:
    """The chart that a release's options name, downloaded if need be for the length of the block.

    Raises:
        PluginError: if there is none.
    """
    local = Path(str(options["chart"])).expanduser()
    repository = (options.get("repositoryOpts") or {}).get("repo")
    if not repository and (local.is_file() or (local / "Chart.yaml").is_file()):
        yield read(local)
        return
    if not repository and (local.is_absolute() or str(options["chart"]).startswith(".")):
        raise PluginError(f"there is no chart at {local}")
    with tempfile.TemporaryDirectory() as folder:
        helm.run_offline(["pull", *_source(options), "--destination", folder])
        yield read(next(Path(folder).glob("*.tgz")))


def read(path: Path) -> Chart:
    """A chart that lies on this machine; raises PluginError if it is none, or cannot be installed."""
    try:
        about = yaml.safe_load(_chart_yaml(path))
        version = str(about["version"])
    except (OSError, tarfile.TarError, StopIteration, KeyError, TypeError, yaml.YAMLError) as error:
        raise PluginError(f"{path} is no Helm chart: it has no Chart.yaml with a version") from error
    if about.get("type", "application") != "application":
        raise PluginError(f"{path} is a {about['type']} chart, which cannot be installed by itself")
    return Chart(path=path, version=version)


def render(chart: Chart, options: dict[str, Any], values: dict[str, Any], helm: Helm) -> Rendered:
    """Renders a chart without asking a cluster; raises PluginError if it cannot be rendered."""
    manifest = helm.run_offline(
        ["template", str(options["name"]), str(chart.path), "--values", "-", *render_flags(options)],
        stdin=yaml.safe_dump(values),
    )
    return Rendered(checksum=hashlib.sha256(manifest.encode()).hexdigest(), names=object_names(manifest))


def object_names(manifest: str) -> dict[str, list[str]]:
    """The names of a manifest's objects, with their namespaces, by ``Kind.group/version``.

    Raises:
        PluginError: if it is no YAML.
    """
    names: dict[str, set[str]] = {}
    try:
        # Ten times as fast as without C: definitions of custom resources are megabytes.
        items = list(yaml.load_all(manifest, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        # The parser's own words quote the text, which may hold secrets. A ValueError is a date there is not.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise PluginError(f"what the chart renders is no YAML{where} (`helm template` shows it)") from error
    for item in items:
        if not isinstance(item, dict) or "kind" not in item:
            continue
        api_version = str(item.get("apiVersion"))
        group = api_version.rpartition("/")[0]
        kind = f"{item['kind']}.{group}" if group else str(item["kind"])
        about = item.get("metadata") or {}
        namespace = about.get("namespace")
        name = f"{namespace}/{about.get('name')}" if namespace else str(about.get("name"))
        names.setdefault(f"{kind}/{api_version}", set()).add(name)
    return {kind: sorted(found) for kind, found in sorted(names.items())}


def _source(options: dict[str, Any]) -> list[str]:
    chart = str(options["chart"])
    about = options.get("repositoryOpts") or {}
    repository = about.get("repo") or ""
    flags: list[str] = []
    if "://" in repository and not chart.startswith("oci://"):
        flags += ["--repo", repository]
    elif repository and "/" not in chart:
        chart = f"{repository}/{chart}"
    if options.get("version"):
        flags += ["--version", str(options["version"])]
    elif options.get("devel"):
        flags.append("--devel")
    if options.get("verify"):
        flags.append("--verify")
    for name, flag in (("caFile", "--ca-file"), ("certFile", "--cert-file"), ("keyFile", "--key-file")):
        if about.get(name):
            flags += [flag, str(about[name])]
    if options.get("keyring"):
        flags += ["--keyring", str(options["keyring"])]
    return [chart, *flags]


def _chart_yaml(path: Path) -> bytes:
    if path.is_dir():
        return (path / "Chart.yaml").read_bytes()
    with tarfile.open(path) as archive:
        # The chart's own file is the one in the topmost folder; dependencies lie deeper.
        member = next(
            item for item in archive if item.name.count("/") == 1 and item.name.endswith("/Chart.yaml")
        )
        content = archive.extractfile(member)
        if content is None:
            raise KeyError(member.name)
        return content.read()
