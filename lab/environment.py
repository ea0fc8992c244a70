"""The environment in which `pulumi`, `openstack`, `kubectl` and `helm` typed by hand speak to the lab."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from lab import paths

PASSPHRASE = "rehearsal"
"""Opens the lab's own Pulumi states. Public by design: they hold nothing of value."""


def variables(path: str) -> dict[str, str]:
    """The variables to set.

    Args:
        path: the PATH to put the lab's folders in front of.
    """
    first = [str(paths.BIN), str(Path(sys.prefix) / "bin")]
    rest = [entry for entry in path.split(os.pathsep) if entry and entry not in first]
    return {
        "PATH": os.pathsep.join([*first, *rest]),
        "PULUMI_HOME": str(paths.PULUMI_HOME),
        "PULUMI_BACKEND_URL": f"file://{paths.PULUMI_BACKEND}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "OS_CLIENT_CONFIG_FILE": str(paths.CLOUDS_YAML),
        "OS_CLOUD": "lab",
        "KUBECONFIG": str(paths.STATE / "kubeconfig"),
    }


def exports(path: str) -> str:
    """The variables as ``export`` lines for a shell's ``eval``."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables(path).items())
