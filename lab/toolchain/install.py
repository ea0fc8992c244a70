"""Gets every tool, by the first way that works, and links it into the lab's PATH folder."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import paths, progress
from lab.errors import LabError
from lab.toolchain import go_modules, on_path, origin, releases
from lab.toolchain.inventory import MODULES, Go, Tool, load
from lab.toolchain.origin import Origin

PARALLEL = 2
"""Builds at once: a second one uses the cores while the first links or downloads."""

SLOWEST_FIRST = ("kubernetes", "pulumi", "plugin-openstack", "cert-manager", "kwok", "helm")
"""The rest is quick; a slow one begun last would leave a core idle."""


def install() -> list[Origin]:
    """Gets all tools. Quick once they are there: nothing is downloaded or built twice.

    Raises:
        LabError: if a tool can be got in no way, or a release is not what its publisher's checksum says.
    """
    inventory = load()
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise LabError(
            f"The lab runs on Linux on x86-64; this is {platform.system()} on {platform.machine()}."
        )
    quick = [name for name in inventory.tools if name not in SLOWEST_FIRST]
    names = [*(name for name in SLOWEST_FIRST if name in inventory.tools), *quick]
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(_get, name, inventory.tools[name], inventory.go) for name in names]
        origins = [future.result() for future in futures]
    for found in origins:
        _link(inventory.tools[found.tool], found)
    return sorted(origins, key=lambda found: found.tool)


def installed() -> list[Origin]:
    """The tools as ``install`` left them for this checkout; an empty list before the first ``up``."""
    records = sorted((paths.STATE / "toolchain").glob("*/origin.json"))
    return [found for record in records if (found := origin.read(record.parent))]


def cache_key(tool: Tool) -> str:
    """A name for a tool's cache entry that changes with anything that goes into it."""
    digest = hashlib.sha256(tool.model_dump_json().encode())
    if tool.module:
        for folder in [tool.module.folder, *(copy.folder for copy in tool.module.copies)]:
            for path in sorted((MODULES / folder).rglob("*")):
                if path.is_file():
                    digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _get(name: str, tool: Tool, go: Go) -> Origin:
    record = paths.STATE / "toolchain" / name
    entry = paths.cache() / "tools" / f"{name}-{tool.version}-{cache_key(tool)}"
    began = time.monotonic()
    if binaries := on_path.find(tool):
        found = Origin(tool=name, version=tool.version, source="on PATH", binaries=binaries, seconds=0)
    elif cached := origin.read(entry):
        found = cached
    elif tool.lab_plugin and (kept := origin.read(record)) and kept.source == "the lab's own plugin":
        # Decided at the first `up`; asking an unreachable site again would slow every later one.
        found = _lab_plugin(name, tool, record, tool.lab_plugin)
    else:
        with progress.step(f"{name} {tool.version}"):
            found = _fetch(name, tool, go, entry, began) or _lab_plugin(
                name, tool, record, tool.lab_plugin or ""
            )
        progress.say(f"  {name}: {found.source}")
    record.mkdir(parents=True, exist_ok=True)
    origin.write(found, record)
    return found


def _fetch(name: str, tool: Tool, go: Go, entry: Path, began: float) -> Origin | None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", dir=entry.parent))
    try:
        source: origin.Source = "official release"
        try:
            if tool.release is None:
                raise releases.UnreachableError(f"{name} has no release")
            releases.install(tool.release, folder)
        except releases.UnreachableError:
            if tool.module is None:
                return None
            source = "built from Go modules"
            go_modules.build(tool.module, go, folder, paths.LOG / f"build-{name}.log")
        built = tool.module.version if tool.module and source == "built from Go modules" else None
        found = Origin(
            tool=name,
            version=built or tool.version,
            source=source,
            binaries={binary: entry / binary for binary in tool.binaries},
            seconds=round(time.monotonic() - began, 1),
        )
        origin.write(found, folder)
        if entry.exists():  # left unfinished, or finished meanwhile by another checkout
            shutil.rmtree(entry)
        folder.rename(entry)
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lab_plugin(name: str, tool: Tool, record: Path, module: str) -> Origin:
    record.mkdir(parents=True, exist_ok=True)
    program = record / tool.binaries[0]
    # -P: the working folder, where Pulumi runs a program, must not shadow the lab's modules.
    program.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{paths.PROGRAM}"\nexec "{sys.executable}" -P -m {module} "$@"\n'
    )
    program.chmod(0o755)
    return Origin(
        tool=name,
        version=tool.version,
        source="the lab's own plugin",
        binaries={tool.binaries[0]: program},
        seconds=0,
    )


def _link(tool: Tool, found: Origin) -> None:
    folder = paths.BIN
    if tool.plugin:
        # The engine looks for real folders here; a plugin found on PATH instead makes it warn.
        folder = paths.PULUMI_HOME / "plugins" / f"resource-{tool.plugin}-v{tool.version}"
    folder.mkdir(parents=True, exist_ok=True)
    for binary, path in found.binaries.items():
        _place(folder / binary, path, symbolic=found.source == "on PATH")


def _place(link: Path, path: Path, *, symbolic: bool) -> None:
    """Makes a tool appear under a second name.

    Pulumi looks for its language host beside itself, following symbolic links, and warns about one found on
    PATH; so the cache's separate entries come together in one folder as hard links, or copies where the cache
    lies on another disk.
    """
    if link.exists() and link.samefile(path) and link.is_symlink() == symbolic:
        return
    link.unlink(missing_ok=True)
    if symbolic:
        link.symlink_to(path)
        return
    try:
        link.hardlink_to(path)
    except OSError:
        shutil.copy2(path, link)
