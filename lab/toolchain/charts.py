"""Helm charts that cannot be downloaded here, put together from what Go modules carry."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from lab import paths
from lab.errors import LabError
from lab.toolchain.go_modules import find_go
from lab.toolchain.inventory import Chart, Go, load

FOLDER = paths.STATE / "charts"
"""Where settings find them: one folder per chart."""

PLACEHOLDER = "v0.0.0"
"""What a chart's source says instead of a version, which its publisher puts in when he packs it."""


def install() -> None:
    """Puts every chart together and into place; quick once that is done.

    Raises:
        LabError: if a module cannot be had, or is not what its checksum says.
    """
    inventory = load()
    for name, chart in inventory.charts.items():
        entry = paths.cache() / "charts" / f"{name}-{chart.version}-{cache_key(chart)}"
        if not entry.exists():
            _make(chart, inventory.go, entry)
        FOLDER.mkdir(parents=True, exist_ok=True)
        link = FOLDER / name
        if not link.is_symlink() or link.readlink() != entry:
            link.unlink(missing_ok=True)
            link.symlink_to(entry)


def cache_key(chart: Chart) -> str:
    """A name for a chart's cache entry that changes with anything that goes into it."""
    digest = hashlib.sha256(chart.model_dump_json().encode())
    if chart.own:
        for path in sorted((paths.PROGRAM / chart.own).rglob("*")):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def stamp(text: str, version: str) -> str:
    """A Chart.yaml with its version instead of the places kept for it."""
    return text.replace(PLACEHOLDER, version)


def _make(chart: Chart, go: Go, entry: Path) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=entry.parent))
    try:
        if chart.own:
            shutil.copytree(paths.PROGRAM / chart.own, folder, dirs_exist_ok=True)
        module = _module(chart, go)
        for target, source in chart.files.items():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            if (module / source).is_dir():
                shutil.copytree(module / source, folder / target)
            else:
                shutil.copyfile(module / source, folder / target)
        for path in folder.rglob("*"):  # Go's own copy is read-only
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        about = folder / "Chart.yaml"
        about.write_text(stamp(about.read_text(), chart.version))
        folder.chmod(0o755)
        if not entry.exists():  # or another checkout was faster
            folder.rename(entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _module(chart: Chart, go: Go) -> Path:
    command = [str(find_go(go)), "mod", "download", "-json", chart.module]
    with tempfile.TemporaryDirectory() as nowhere:  # or the go.mod of this place would count
        answer = subprocess.run(
            command,
            cwd=nowhere,
            env={**os.environ, "GOFLAGS": "-mod=mod"},
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode:
        why = (answer.stdout + answer.stderr).strip()[-300:]
        raise LabError(f"{chart.module} cannot be downloaded: {why}")
    found = json.loads(answer.stdout)
    if found["Sum"] != chart.sum:
        raise LabError(
            f"{chart.module} has checksum {found['Sum']} instead of {chart.sum}: not used. "
            "Something between here and the module proxy changes files; try from another network."
        )
    return Path(found["Dir"])
