"""What commands on this machine and on others have in common."""

from __future__ import annotations

import abc
import secrets
from collections.abc import Callable

from lab.plugins.differences import differences
from lab.plugins.engine import Engine
from lab.plugins.output import Stream
from lab.plugins.provider import Difference, PluginError, Resource, State
from lab.plugins.values import Properties, Secret, has_secrets, reveal

PREVIOUS = {"stdout": "PULUMI_COMMAND_STDOUT", "stderr": "PULUMI_COMMAND_STDERR"}
"""Outputs of the last run, and the variables by which the next run is told of them."""

_OUTPUTS = ("stdout", "stderr", "assets", "archive")

_LOGGED: dict[str, tuple[Stream, ...]] = {
    "stdout": ("stdout",),
    "stderr": ("stderr",),
    "stdoutAndStderr": ("stdout", "stderr"),
    "none": (),
}


class Commands(abc.ABC):
    """Commands that come and go with a stack, wherever they run."""

    @abc.abstractmethod
    def run(self, command: str, inputs: Properties, before: Properties, urn: str) -> Properties:
        """Runs a command to its end.

        Args:
            command: its text.
            inputs: its inputs as they came.
            before: the outputs of the run before it, revealed; empty if there was none.
            urn: the resource to which its output is shown.

        Returns:
            Its outputs.

        Raises:
            PluginError: if it fails or does not run at all.
        """

    def diff(self, resource: Resource) -> Difference:
        """Changed triggers replace, all else updates."""
        return difference(resource)

    def create(self, resource: Resource) -> State:
        """Runs the command for ``create``; nothing runs in a preview."""
        if resource.preview:
            return State(id="", outputs=resource.inputs)
        outputs = {**resource.inputs, "stdout": "", "stderr": ""}
        command = _command(resource.inputs, "create")
        if command:
            outputs |= self._hidden_run(command, resource.inputs, {}, resource.urn)
        return State(id=new_id(resource.name), outputs=outputs)

    def read(self, resource: Resource) -> State:
        """What the state has."""
        return recorded(resource)

    def update(self, resource: Resource) -> State:
        """Runs the command for ``update``; if there is none, the one for ``create`` again."""
        kept = {name: value for name, value in resource.outputs.items() if name in _OUTPUTS}
        outputs = {**resource.inputs, **kept}
        command = _command(resource.inputs, "update") or _command(resource.inputs, "create")
        if command and not resource.preview:
            outputs |= self._hidden_run(command, resource.inputs, reveal(kept), resource.urn)
        return State(id=resource.id, outputs=outputs)

    def delete(self, resource: Resource) -> None:
        """Runs the command for ``delete``, if there is one."""
        command = _command(resource.old_inputs, "delete")
        if command:
            self.run(command, resource.old_inputs, reveal(resource.outputs), resource.urn)

    def _hidden_run(self, command: str, inputs: Properties, before: Properties, urn: str) -> Properties:
        outputs = self.run(command, inputs, before, urn)
        # Nobody can tell what a command makes of a secret that it is given.
        return {name: Secret(value) for name, value in outputs.items()} if has_secrets(inputs) else outputs


def difference(resource: Resource) -> Difference:
    """Compares the inputs; changed triggers replace, all else updates."""
    changes = differences(reveal(resource.old_inputs), reveal(resource.inputs))
    return Difference(changes=changes, replaces=[path for path in changes if path[:1] == ("triggers",)])


def recorded(resource: Resource) -> State:
    """A command as the state has it: there is nothing to look at after it has run.

    Raises:
        PluginError: if it is to be imported.
    """
    if not resource.old_inputs:
        raise PluginError(f"{resource.type} cannot be imported: a command leaves nothing to find it by")
    return State(id=resource.id, outputs=resource.outputs, inputs=resource.old_inputs)


def new_id(name: str) -> str:
    """An id for a command, by the published plugin's rule."""
    return f"{name}{secrets.token_hex(4)}"


def environment(inputs: Properties, before: Properties) -> dict[str, str]:
    """The variables of a run: the program's own, and what the last run printed.

    Args:
        inputs: the command's inputs, revealed.
        before: the outputs of the last run, revealed; empty if there was none.
    """
    variables = {str(name): str(value) for name, value in (inputs.get("environment") or {}).items()}
    if inputs.get("addPreviousOutputInEnv") is not False:
        variables |= {PREVIOUS[name]: str(before[name]) for name in PREVIOUS if before.get(name)}
    return variables


def logger(inputs: Properties, engine: Engine, urn: str) -> Callable[[Stream, str], None]:
    """Shows lines of output to the operator, of those streams that the program lets be shown."""
    streams = _LOGGED.get(str(inputs.get("logging") or "stdoutAndStderr"), ())

    def show(stream: Stream, line: str) -> None:
        if stream in streams:
            engine.info(line, urn)

    return show


def failure(problem: str, command: str, inputs: Properties, both: str) -> PluginError:
    """The error of a command that failed, with all that it printed.

    Args:
        problem: how it ended.
        command: its text.
        inputs: its inputs as they came, so that a secret text is not shown.
        both: its standard output and error.
    """
    secret = any(isinstance(inputs.get(verb), Secret) for verb in ("create", "update", "delete"))
    shown = "[secret]" if secret else f'"{command}"'
    return PluginError(f"{problem}: running {shown}:\n{both}".rstrip())


def without_last_newline(text: str) -> str:
    """A text without the newline that ends it, if one does."""
    return text.removesuffix("\n")


def _command(inputs: Properties, verb: str) -> str | None:
    command = reveal(inputs.get(verb))
    return str(command) if command else None
