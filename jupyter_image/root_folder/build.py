"""Carries the Dockerfile out on a folder of Debian packages, which stands in for the base image.

Debian 13 has the base image's Python, 3.13, so the same lock and the same wheels are installed. What is not
the same: the base, the archive that packages come from, and the files that ``sources.toml`` names.
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_image.root_folder import namespace, recipe
from jupyter_image.root_folder.layers import Layers, cache, content_key, forget_unused, key_of, layer, locked
from jupyter_image.root_folder.namespace import Inside, Mount, RootFolderError
from jupyter_image.root_folder.recipe import Bind, Instruction

CONTEXT = Path(__file__).resolve().parents[1]
SUITE = "trixie"
BASE_PACKAGES = ("bzip2", "ca-certificates", "mount", "passwd", "python3", "python3-venv", "tini")
BASE_SCRIPT = Path(__file__).with_name("base.sh")
USERS = {"0": "0:0", "1000": "1000:100"}

BASE_ENVIRONMENT = {
    "PATH": "/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/home/jovyan",
    "NB_USER": "jovyan",
    "NB_UID": "1000",
    "NB_GID": "100",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
"""What the base image's own ENV instructions say, as far as anything here reads it."""

REPRODUCIBLE = {"SOURCE_DATE_EPOCH": "1760000000"}
"""Archives made in a step do not carry the time of day, which would make every layer above them anew."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StandIn:
    """What takes the place of a file of the context.

    Attributes:
        path: the file.
        key: what it is cached by; it may name a port that is another each time.
    """

    path: Path
    key: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """A stage carried out so far, or to its end.

    Attributes:
        layers: what it is made of.
        environment: what ENV has set.
        arguments: what ARG has brought into it.
        user: who the next command runs as.
        run_by: the shell of a RUN.
        labels: what LABEL has set.
    """

    layers: Layers
    environment: Mapping[str, str]
    arguments: Mapping[str, str]
    user: str
    run_by: Sequence[str]
    labels: Mapping[str, str]


def image(arguments: Mapping[str, str], stand_ins: Mapping[str, StandIn]) -> Built:
    """The image, from the cache as far as nothing has changed.

    Args:
        arguments: build arguments, as ``docker build`` gets them.
        stand_ins: files of the context that are replaced, by their names.

    Raises:
        RootFolderError: if a step fails; the text has its last lines.
    """
    with locked():
        defaults, stages = recipe.stages()
        build = _Build(arguments={**defaults, **arguments}, stand_ins=stand_ins)
        base = _base(build)
        for stage in stages:
            built = base
            for instruction in stage.instructions:
                built = build.carried_out(instruction, built, stage.name or "image")
            build.done[stage.name] = built
        forget_unused()
        return built


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Build:
    """What all stages of one build share: its arguments, its stand-ins, and the stages that are done."""

    arguments: Mapping[str, str]
    stand_ins: Mapping[str, StandIn]
    done: dict[str, Built] = dataclasses.field(default_factory=dict)

    def carried_out(self, instruction: Instruction, built: Built, name: str) -> Built:
        """The stage after one more instruction; ``name`` is its layer's."""
        value = instruction.value
        variables = {**built.arguments, **built.environment}
        change: dict[str, Any]
        match instruction.word:
            case "ARG":
                argument = recipe.argument_name(value)
                text = self.arguments.get(argument, "")
                change = {"arguments": {**built.arguments, argument: text}}
            case "ENV":
                change = {"environment": {**built.environment, **recipe.pairs(value, variables)}}
            case "LABEL":
                change = {"labels": {**built.labels, **recipe.pairs(value, variables)}}
            case "SHELL":
                change = {"run_by": recipe.shell(value)}
            case "USER":
                change = {"user": USERS[value]}
            case "RUN":
                binds, text = recipe.run(value)
                change = {"layers": self.with_layer(name, [*built.run_by, text], binds, built)}
            case word:
                raise RootFolderError(f"not known how to carry out: {word} {value}")
        return dataclasses.replace(built, **change)

    def with_layer(self, name: str, command: Sequence[str], binds: Sequence[Bind], built: Built) -> Layers:
        """The stage's layers with that of a command on top."""
        variables = {**built.arguments, **built.environment}
        # A variable that a command does not name may still change what it does: all of them count.
        parts = [
            built.layers.key,
            built.user,
            *command,
            *(f"{key}={variables[key]}" for key in sorted(variables)),
        ]
        mounts: list[Mount] = []
        for bind in binds:
            mount, content = self._seen(bind)
            mounts.append(mount)
            parts += [bind.target, *content]
        key = key_of(*parts)

        def make(upper: Path) -> None:
            inside = Inside(
                layers=built.layers.folders,
                user=built.user,
                environment={**namespace.network_environment(), **REPRODUCIBLE, **variables},
                mounts=(*mounts, *namespace.network_mounts()),
                upper=upper,
            )
            _run(inside, command, key)
            _remove_mount_points(upper, [bind.target for bind in binds])

        return Layers(folders=(layer(name, key, make), *built.layers.folders), key=key)

    def _seen(self, bind: Bind) -> tuple[Mount, list[str]]:
        """What a command sees, and the keys of its content."""
        if bind.stage is None:
            replaced = self.stand_ins.get(bind.source)
            path = replaced.path if replaced else CONTEXT / bind.source
            content = replaced.key if replaced else content_key(path)
            return Mount(source=str(path), target=bind.target), [content]
        # By what is there, not by how it was made: another sources.py that fetches the same changes nothing.
        folders = self.done[bind.stage].layers.folders
        paths = [folder / bind.source.lstrip("/") for folder in folders]
        keys = [content_key(path) for path in paths if path.exists()]
        return Mount(source=bind.source, target=bind.target, layers=folders), keys


def _remove_mount_points(upper: Path, targets: Sequence[str]) -> None:
    """What had to be there to be mounted on is no part of the image."""
    for target in targets:
        path = upper / target.lstrip("/")
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()
        while path != upper and (not path.exists() or (path.is_dir() and not any(path.iterdir()))):
            if path.exists():
                path.rmdir()
            path = path.parent


def _base(build: _Build) -> Built:
    # Debian's own choice of mirror, and this machine's way to it.
    key = key_of(SUITE, *BASE_PACKAGES)
    bootstrap = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(BASE_PACKAGES)}", SUITE]

    def debian(folder: Path) -> None:
        log = _log(key)
        with log.open("a") as out:
            answer = subprocess.run(
                [*bootstrap, str(folder)], stdout=out, stderr=subprocess.STDOUT, check=False
            )
        if answer.returncode:
            raise RootFolderError(f"mmdebstrap {SUITE} failed.\n{_tail(log)}")

    built = Built(
        layers=Layers(folders=(layer("debian", key, debian),), key=key),
        environment=BASE_ENVIRONMENT,
        arguments={},
        user=USERS["0"],
        run_by=("/bin/sh", "-c"),
        labels={},
    )
    bind = Bind(source=str(BASE_SCRIPT), target="/base.sh", stage=None)
    layers = build.with_layer("base", ["bash", "/base.sh"], [bind], built)
    return dataclasses.replace(built, layers=layers, user=USERS["1000"])


def _run(inside: Inside, command: Sequence[str], key: str) -> None:
    log = _log(key)
    status = namespace.run(inside, command, log)
    if status != 0:
        raise RootFolderError(f"`{' '.join(command)}` ended with {status}.\n{_tail(log)}")
    log.unlink()


def _log(key: str) -> Path:
    log = cache() / "log" / f"{key[:16]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    return log


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-20:]
    return "\n".join([f"Last lines of {log}:", *lines])


def size_megabytes(folder: Path) -> int:
    """What a layer takes on the disk, in MB."""
    answer = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[0])
