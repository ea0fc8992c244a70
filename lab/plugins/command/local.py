"""``local.Command`` and ``local.run``: commands on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from lab.plugins.children import Children
from lab.plugins.command.common import Commands, environment, failure, logger, without_last_newline
from lab.plugins.command.globs import matching
from lab.plugins.engine import Engine
from lab.plugins.provider import PluginError, Problem, Resource
from lab.plugins.values import Asset, Properties, reveal

_SHELL = ("/bin/sh", "-c")


class LocalCommands(Commands):
    """Commands on this machine."""

    def __init__(self, engine: Engine, children: Children) -> None:
        self._engine = engine
        self._children = children

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """Fills in the published default."""
        return {"addPreviousOutputInEnv": True, **resource.inputs}, []

    def invoke(self, arguments: Properties) -> Properties:
        """``local.run``: runs a command at once, whether in a preview or not."""
        plain = reveal(arguments)
        return {**plain, **self.run(str(plain["command"]), arguments, {}, "")}

    def run(self, command: str, inputs: Properties, before: Properties, urn: str) -> Properties:
        """Runs a command by the shell, or by the interpreter that is asked for."""
        plain = reveal(inputs)
        folder = str(plain.get("dir") or Path.cwd())
        interpreter = [str(part) for part in plain.get("interpreter") or _SHELL]
        try:
            finished = self._children.run(
                [*interpreter, command],
                environment={**os.environ, **environment(plain, before)},
                stdin=str(plain.get("stdin") or ""),
                directory=folder,
                line=logger(plain, self._engine, urn),
            )
        except OSError as error:
            raise PluginError(
                f"the command cannot be started with the interpreter {interpreter[0]} in the folder "
                f"{folder}: {error.strerror}"
            ) from error
        if finished.code != 0:
            ended = f"exit status {finished.code}" if finished.code > 0 else f"signal {-finished.code}"
            raise failure(ended, command, inputs, finished.both)
        return {
            "stdout": without_last_newline(finished.stdout),
            "stderr": without_last_newline(finished.stderr),
            **_assets(Path(folder), plain),
        }


def _assets(folder: Path, inputs: Properties) -> Properties:
    found: Properties = {}
    if inputs.get("assetPaths"):
        files = matching(folder, inputs["assetPaths"])
        found["assets"] = {name: _asset(path) for name, path in files.items()}
    if inputs.get("archivePaths"):
        files = matching(folder, inputs["archivePaths"])
        members = tuple((name, _asset(path)) for name, path in files.items())
        found["archive"] = Asset(archive=True, assets=members)
    return found


def _asset(path: Path) -> Asset:
    content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    return Asset(archive=False, path=str(path), content_hash=content_hash)
