"""First choice: the tool is already installed, in the pinned version."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab import paths
from lab.toolchain.inventory import Tool


def find(tool: Tool) -> dict[str, Path] | None:
    """The tool's binaries on PATH (or among Pulumi's installed plugins), if all are of the pinned version."""
    search = _plugin_folder(tool) if tool.plugin else _path_without_lab()
    found: dict[str, Path] = {}
    for binary in tool.binaries:
        path = shutil.which(binary, path=search)
        if path is None:
            return None
        found[binary] = Path(path)
    if tool.beside:
        companion = shutil.which(tool.beside, path=search)
        together = companion and all(path.parent == Path(companion).parent for path in found.values())
        return found if together and says_version(Path(companion or ""), ["version"], tool.version) else None
    if all(says_version(path, _arguments(tool, name), tool.version) for name, path in found.items()):
        return found
    return None


def says_version(binary: Path, arguments: list[str], version: str) -> bool:
    """Whether a program prints the version as a word of its own (``v1.2.3`` and ``1.2.3`` both count)."""
    try:
        answer = subprocess.run(
            [binary, *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    words = (answer.stdout + answer.stderr).replace("+", " ").replace(",", " ").split()
    return any(word.removeprefix("v") == version for word in words)


def _arguments(tool: Tool, binary: str) -> list[str]:
    # kubectl is the only one of Kubernetes' programs without --version.
    return ["version", "--client"] if binary == "kubectl" else tool.version_arguments


def _path_without_lab() -> str:
    # After `eval "$(python -m lab env)"` the lab's own links come first on PATH.
    entries = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if entry and Path(entry) != paths.BIN)


def _plugin_folder(tool: Tool) -> str:
    # Plugins that Pulumi has installed for the user; PULUMI_HOME may already be the lab's.
    return str(Path("~/.pulumi/plugins").expanduser() / f"resource-{tool.plugin}-v{tool.version}")
