"""A Helm release's options, as flags of ``helm`` and as one tree of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.plugins.provider import PluginError, Problem
from lab.plugins.values import Asset

DEFAULT_TIMEOUT = 300
"""Seconds for each wait of Helm."""

_NOT_OFFERED = ("lint", "manifest", "recreatePods")
_NO_CREDENTIALS = ("username", "password")


def problems(options: dict[str, Any]) -> Sequence[Problem]:
    """Options that the lab's own plugin does not offer."""
    found = [
        Problem(property=name, reason="is not offered by the lab's own plugin; leave it out")
        for name in _NOT_OFFERED
        if options.get(name)
    ]
    repository = options.get("repositoryOpts")
    given = repository if isinstance(repository, dict) else {}
    found += [
        Problem(
            property=f"repositoryOpts.{name}",
            reason="is not offered by the lab's own plugin: Helm takes it on the command line only, "
            "which every process can read; log in with `helm registry login` instead",
        )
        for name in _NO_CREDENTIALS
        if given.get(name)
    ]
    return found


def values(options: dict[str, Any]) -> dict[str, Any]:
    """All values of a release: those of its files, over them those that are given in the program.

    Raises:
        PluginError: if a file cannot be read or is no YAML mapping.
    """
    merged: dict[str, Any] = {}
    for asset in options.get("valueYamlFiles") or []:
        merged = _merge(merged, _file(asset))
    return _merge(merged, options.get("values") or {})


def install_flags(options: dict[str, Any]) -> list[str]:
    """The flags of ``helm install``."""
    return [
        *_common(options),
        *_switches(options, createNamespace="--create-namespace", replace="--replace"),
        # The published plugin's names are crossed: this one is for the hooks of an installation ...
        *_switches(options, disableWebhooks="--no-hooks"),
    ]


def upgrade_flags(options: dict[str, Any]) -> list[str]:
    """The flags of ``helm upgrade``."""
    return [
        *_common(options),
        "--history-max",
        str(options.get("maxHistory") or 0),
        # A release that is recorded but gone (removed by hand, or never begun) is installed again.
        "--install",
        *_switches(
            options,
            createNamespace="--create-namespace",
            cleanupOnFail="--cleanup-on-fail",
            forceUpdate="--force",
            resetValues="--reset-values",
            reuseValues="--reuse-values",
        ),
        # ... and this one for those of an upgrade.
        *_switches(options, disableCRDHooks="--no-hooks"),
    ]


def render_flags(options: dict[str, Any]) -> list[str]:
    """The flags of ``helm template``."""
    return [
        "--namespace",
        str(options["namespace"]),
        *([] if options.get("skipCrds") else ["--include-crds"]),
        *_switches(options, disableWebhooks="--no-hooks", dependencyUpdate="--dependency-update"),
        *_post_renderer(options),
    ]


def uninstall_flags(options: dict[str, Any]) -> list[str]:
    """The flags of ``helm uninstall``."""
    waits = ["--wait", "--timeout", _timeout(options)] if _waits(options) else []
    return ["--namespace", str(options["namespace"]), *waits]


def _common(options: dict[str, Any]) -> list[str]:
    flags = ["--namespace", str(options["namespace"]), "--timeout", _timeout(options)]
    if _waits(options):
        flags += ["--wait", *_switches(options, waitForJobs="--wait-for-jobs")]
    if options.get("description"):
        flags += ["--description", str(options["description"])]
    return [
        *flags,
        *_post_renderer(options),
        *_switches(
            options,
            atomic="--atomic",
            dependencyUpdate="--dependency-update",
            disableOpenapiValidation="--disable-openapi-validation",
            renderSubchartNotes="--render-subchart-notes",
            skipCrds="--skip-crds",
            takeOwnership="--take-ownership",
        ),
    ]


def _waits(options: dict[str, Any]) -> bool:
    return bool(options.get("atomic") or not options.get("skipAwait"))


def _timeout(options: dict[str, Any]) -> str:
    return f"{options.get('timeout') or DEFAULT_TIMEOUT}s"


def _post_renderer(options: dict[str, Any]) -> list[str]:
    return ["--post-renderer", str(options["postrender"])] if options.get("postrender") else []


def _switches(options: dict[str, Any], **flags: str) -> list[str]:
    return [flag for name, flag in flags.items() if options.get(name)]


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _file(asset: Any) -> dict[str, Any]:
    if not isinstance(asset, Asset) or asset.archive or (asset.text is None and asset.path is None):
        raise PluginError("valueYamlFiles takes files and texts (FileAsset, StringAsset) only")
    name = asset.path or "a text"
    try:
        content = yaml.safe_load(Path(asset.path).read_text() if asset.path else asset.text or "")
    except OSError as error:
        raise PluginError(f"valueYamlFiles: {name}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        # The parser's own words quote the text, which may hold secrets.
        raise PluginError(f"valueYamlFiles: {name} is not YAML") from error
    if content is not None and not isinstance(content, dict):
        raise PluginError(f"valueYamlFiles: {name} is no mapping of values")
    return content or {}
