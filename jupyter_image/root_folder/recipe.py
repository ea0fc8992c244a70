"""The Dockerfile as data: stages of instructions. As much of its language as our Dockerfile uses, no more."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from dockerfile_parse import DockerfileParser

DOCKERFILE = Path(__file__).resolve().parents[1] / "Dockerfile"


class RecipeError(Exception):
    """An instruction that is not understood here; the text quotes it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction: its word, and all that follows on one line."""

    word: str
    value: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What stands between one FROM and the next.

    Attributes:
        name: as other stages call it; empty for the last.
        base: what it is built on, variables in it not yet replaced.
        instructions: in their order.
    """

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bind:
    """A ``--mount=type=bind`` of a RUN.

    Attributes:
        source: a path of the build's context, or of a stage.
        target: where the command sees it.
        stage: the stage's name; None for the context.
    """

    source: str
    target: str
    stage: str | None


def stages(file: Path = DOCKERFILE) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first FROM with their defaults, and the stages."""
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for entry in DockerfileParser(path=str(file)).structure:
        word, value = entry["instruction"], entry["value"]
        if word == "COMMENT":
            continue
        if word == "FROM":
            base, _, name = value.partition(" AS ")
            found.append(Stage(name=name.strip(), base=base.strip(), instructions=()))
        elif not found:
            arguments.update([_argument(value)])
        else:
            instruction = Instruction(word=word, value=value)
            found[-1] = dataclasses.replace(found[-1], instructions=(*found[-1].instructions, instruction))
    return arguments, found


def _argument(value: str) -> tuple[str, str]:
    name, _, default = value.partition("=")
    return name, default


def argument_name(value: str) -> str:
    """The name of an ARG."""
    return _argument(value)[0]


def pairs(value: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The names and texts of an ENV or LABEL, variables replaced."""
    words = [word.partition("=") for word in shlex.split(value)]
    return {name: replaced(text, variables) for name, _, text in words}


def replaced(text: str, variables: Mapping[str, str]) -> str:
    """The text with ``${NAME}`` and ``$NAME`` replaced; what is not known is nothing, as for Docker."""
    return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: variables.get(found[1] or found[2], ""), text)


def run(value: str) -> tuple[list[Bind], str]:
    """The mounts of a RUN, and its command.

    Raises:
        RecipeError: if a mount is of another type, or writable.
    """
    binds: list[Bind] = []
    while found := re.match(r"--mount=(\S+)\s+", value):
        fields = dict(field.partition("=")[::2] for field in found[1].split(","))
        needed = {"source", "target"}
        if fields.pop("type", None) != "bind" or set(fields) - {"from"} != needed:
            raise RecipeError(f"RUN --mount={found[1]}")
        binds.append(Bind(source=fields["source"], target=fields["target"], stage=fields.get("from")))
        value = value[found.end() :]
    if value.startswith("--"):
        raise RecipeError(f"RUN {value}")
    return binds, value


def shell(value: str) -> Sequence[str]:
    """The words of a SHELL."""
    words: list[str] = json.loads(value)
    return words
