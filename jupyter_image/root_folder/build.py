"""Carries the Dockerfile out on a folder of Debian packages, which stands in for the base image.

Debian 13 has the base image's Python, 3.13, so the same lock and the same wheels are installed. What is not
the same: the base, the archive that packages come from, and the files that ``sources.toml`` names.
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_image.root_folder import namespace, recipe
from jupyter_image.root_folder.layers import Layers, cache, content_key, forget_unused, key_of, layer, locked
from jupyter_image.root_folder.namespace import Inside, Mount, RootFolderError
from jupyter_image.root_folder.recipe import Instruction

CONTEXT = Path(__file__).resolve().parents[1]
SUITE = "trixie"
BASE_PACKAGES = ("bzip2", "ca-certificates", "passwd", "python3", "python3-venv", "tini")
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
        shell: what runs a command.
        labels: what LABEL has set.
    """

    layers: Layers
    environment: Mapping[str, str]
    arguments: Mapping[str, str]
    user: str
    shell: Sequence[str]
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
        defaults, all_stages = recipe.stages()
        known = {**defaults, **arguments}
        base = _base()
        done: dict[str, Built] = {}
        for stage in all_stages:
            built = done.get(stage.base, base)
            for instruction in stage.instructions:
                built = _carried_out(instruction, built, known, stand_ins, done, stage.name or "image")
            done[stage.name] = built
        forget_unused()
        return done[all_stages[-1].name]


def _carried_out(
    instruction: Instruction,
    built: Built,
    known: Mapping[str, str],
    stand_ins: Mapping[str, StandIn],
    done: Mapping[str, Built],
    name: str,
) -> Built:
    variables = {**built.arguments, **built.environment}
    value = instruction.value
    match instruction.word:
        case "ARG":
            argument = recipe.argument_name(value)
            return dataclasses.replace(
                built, arguments={**built.arguments, argument: known.get(argument, "")}
            )
        case "ENV":
            added = recipe.pairs(value, variables)
            return dataclasses.replace(built, environment={**built.environment, **added})
        case "LABEL":
            return dataclasses.replace(built, labels={**built.labels, **recipe.pairs(value, variables)})
        case "SHELL":
            return dataclasses.replace(built, shell=recipe.shell(value))
        case "USER":
            return dataclasses.replace(built, user=USERS[value])
        case "COPY":
            copy = recipe.copy(value)
            bind = recipe.Bind(source=copy.source, target="/copied", stage=None)
            command = ["sh", "-euc", 'cp -rT /copied "$1" && chown -R "$2" "$1"', "sh", copy.target, copy.owner]
            as_root = dataclasses.replace(built, user=USERS["0"])
            layers = _with_layer(name, command, [bind], as_root, stand_ins, done)
            return dataclasses.replace(built, layers=layers)
        case "RUN":
            binds, text = recipe.run(value)
            layers = _with_layer(name, [*built.shell, text], binds, built, stand_ins, done)
            return dataclasses.replace(built, layers=layers)
    raise RootFolderError(f"not known how to carry out: {instruction.word} {value}")


def _with_layer(
    name: str,
    command: Sequence[str],
    binds: Sequence[recipe.Bind],
    built: Built,
    stand_ins: Mapping[str, StandIn],
    done: Mapping[str, Built],
) -> Layers:
    parts = [built.layers.key, built.user, *command]
    # A variable that a command does not name may still change what it does: all of them count.
    parts += [f"{key}={text}" for key, text in sorted({**built.arguments, **built.environment}.items())]
    mounts: list[Mount] = []
    for bind in binds:
        if bind.stage is not None:
            stage = done[bind.stage]
            parts += [bind.target, bind.source, stage.layers.key]
            mounts.append(Mount(source=bind.source, target=bind.target, layers=stage.layers.folders))
        else:
            replaced = stand_ins.get(bind.source)
            path = replaced.path if replaced else CONTEXT / bind.source
            parts += [bind.target, replaced.key if replaced else content_key(path)]
            mounts.append(Mount(source=str(path), target=bind.target))
    key = key_of(*parts)

    def make(upper: Path) -> None:
        inside = Inside(
            layers=built.layers.folders,
            user=built.user,
            environment={
                **namespace.network_environment(),
                **REPRODUCIBLE,
                **built.arguments,
                **built.environment,
            },
            mounts=(*mounts, *namespace.network_mounts()),
            upper=upper,
        )
        _run(inside, command, key)
        _remove_mount_points(upper, [bind.target for bind in binds])

    return Layers(folders=(layer(name, key, make), *built.layers.folders), key=key)


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


def _base() -> Built:
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
        shell=("/bin/sh", "-c"),
        labels={},
    )
    bind = recipe.Bind(source=str(BASE_SCRIPT), target="/base.sh", stage=None)
    layers = _with_layer("base", ["bash", "/base.sh"], [bind], built, {}, {})
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
