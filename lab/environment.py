"""The environment in which `pulumi`, `openstack`, `kubectl` and `helm` typed by hand speak to the lab."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import paths
from lab.ports import HOST

PASSPHRASE = "rehearsal"
"""Opens the lab's own Pulumi states. Public by design: they hold nothing of value."""

_NO_PROXY = ("NO_PROXY", "no_proxy")
"""Some clients read the one, some the other, some prefer one of them."""


def variables(current: Mapping[str, str]) -> dict[str, str | None]:
    """The variables to set; None for those to remove.

    Args:
        current: the environment they go on top of.
    """
    first = [str(paths.BIN), str(Path(sys.prefix) / "bin")]
    rest = [entry for entry in current.get("PATH", "").split(os.pathsep) if entry and entry not in first]
    # An address or credential of a real cloud left in the shell would win over the lab's clouds.yaml.
    foreign: dict[str, str | None] = {name: None for name in current if name.startswith("OS_")}
    return foreign | {
        "PATH": os.pathsep.join([*first, *rest]),
        "PULUMI_HOME": str(paths.PULUMI_HOME),
        "PULUMI_BACKEND_URL": f"file://{paths.PULUMI_BACKEND}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Pulumi looks for a keyring. Where no session bus runs, each of its calls would start one that stays.
        "DBUS_SESSION_BUS_ADDRESS": current.get("DBUS_SESSION_BUS_ADDRESS", "disabled:"),
        "OS_CLIENT_CONFIG_FILE": str(paths.CLOUDS_YAML),
        "OS_CLOUD": "lab",
        "KUBECONFIG": str(paths.STATE / "kubeconfig"),
        **direct(current),
    }


def direct(current: Mapping[str, str]) -> dict[str, str]:
    """The variables by which no proxy comes between a client and the lab.

    Args:
        current: the environment whose own exceptions stay, in whichever case they are written.
    """
    entries = [entry.strip() for name in _NO_PROXY for entry in current.get(name, "").split(",")]
    others = dict.fromkeys(entry for entry in entries if entry and entry != HOST)
    return dict.fromkeys(_NO_PROXY, ",".join([*others, HOST]))


def exports(current: Mapping[str, str]) -> str:
    """The variables as lines for a shell's ``eval``."""
    return "\n".join(
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in variables(current).items()
    )


def applied(current: Mapping[str, str]) -> dict[str, str]:
    """An environment as it is after those lines."""
    changed = {**current, **variables(current)}
    return {name: value for name, value in changed.items() if value is not None}
