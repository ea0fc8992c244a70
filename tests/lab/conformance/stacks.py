"""Stacks of small inline programs, run by the real Pulumi engine."""

from __future__ import annotations

import dataclasses
import datetime
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
from pulumi import automation
from pulumi.automation._stack import StackInitMode

from lab import environment, paths

PROJECT = "conformance"
PLUGINS = {"kubernetes": "4.34.2", "command": "1.2.1"}

Program = Callable[[], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """Something that the engine did, or would do, to one resource."""

    operation: str
    type: str
    name: str
    changes: dict[str, str]


class RunFailed(Exception):  # noqa: N818
    """The engine reported an error; the text is all that it printed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """An update, a preview, a refresh or a destroy.

    Attributes:
        output: all that the engine said.
        messages: what plugins and programs had to say, one by one.
        outputs: the stack's.
    """

    steps: list[Step]
    output: str
    messages: list[str]
    outputs: dict[str, Any]

    @property
    def operations(self) -> dict[str, list[str]]:
        """What happened to what, by the name in the program; unchanged resources left out."""
        found: dict[str, list[str]] = {}
        for step in self.steps:
            engines_own = step.type == "pulumi:pulumi:Stack" or step.name.startswith("default_")
            if step.operation != "same" and not engines_own:
                found.setdefault(step.name, []).append(step.operation)
        return found

    def changes(self, name: str) -> dict[str, str]:
        """The detailed differences of a resource, by path."""
        return {path: kind for step in self.steps if step.name == name for path, kind in step.changes.items()}


class _QuickStack(automation.Stack):
    """Leaves out what the Automation API asks the CLI after each run: it costs more than the run itself."""

    def outputs(self) -> automation.OutputMap:
        """None: they are read from the state's file instead."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        """An empty summary."""
        del show_secrets
        now = datetime.datetime.now(datetime.UTC)
        return automation.UpdateSummary("update", now, "", {}, {}, "succeeded")


class Stack:
    """One stack, whose program is another one with each call.

    Attributes:
        state_file: the state as it is kept, with secrets encrypted.
    """

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        backend = Path(variables["PULUMI_BACKEND_URL"].removeprefix("file://"))
        self.state_file = backend / ".pulumi" / "stacks" / PROJECT / f"{name}.json"
        workspace = automation.LocalWorkspace(
            work_dir=str(folder),
            program=_nothing,
            env_vars=variables,
            project_settings=automation.ProjectSettings(name=PROJECT, runtime="python", main=str(folder)),
            pulumi_command=automation.PulumiCommand(root=str(paths.STATE)),
        )
        self._stack = _QuickStack(name, workspace, StackInitMode.CREATE_OR_SELECT)
        self._empty_state = self.state_file.read_bytes()

    def up(self, program: Program) -> Run:
        """Updates the stack; raises RunFailed."""
        return self._run(program, "up")

    def preview(self, program: Program) -> Run:
        """Previews an update; raises RunFailed."""
        return self._run(program, "preview")

    def refresh(self) -> Run:
        """Refreshes the stack; raises RunFailed."""
        return self._run(_nothing, "refresh")

    def empty(self) -> None:
        """Destroys all that is in the stack, if anything is; raises RunFailed."""
        if self._resources():
            self._run(_nothing, "destroy")

    def forget(self) -> None:
        """Empties the state without touching what is in it; costs nothing."""
        self.state_file.write_bytes(self._empty_state)

    def interrupted_up(self, program: Program, when: Callable[[], bool]) -> str:
        """Updates the stack, interrupts that as Ctrl-C does, and returns what the engine said.

        Args:
            when: interrupts as soon as this is true; asked several times a second for a minute.
        """
        run = _Forked(self._in_fork, program, "up")
        for _ in range(300):
            if when():
                break
            time.sleep(0.2)
        run.interrupt()
        result, failed = run.result()
        assert failed, "the update ended by itself"
        return result.output

    def resource(self, name: str) -> dict[str, Any]:
        """A resource's entry in the state, by its name in the program."""
        for entry in self._resources():
            if entry["urn"].rpartition("::")[2] == name and not entry.get("delete"):
                return entry
        raise KeyError(name)

    def _resources(self) -> list[dict[str, Any]]:
        if not self.state_file.exists():
            return []
        latest = json.loads(self.state_file.read_text())["checkpoint"].get("latest") or {}
        found: list[dict[str, Any]] = latest.get("resources") or []
        return found

    def _run(self, program: Program, verb: str) -> Run:
        run, failed = _Forked(self._in_fork, program, verb).result()
        if failed:
            raise RunFailed(run.output)
        return run

    def _in_fork(self, program: Program, verb: str) -> tuple[Run, bool]:
        events: list[automation.EngineEvent] = []
        lines: list[str] = []
        self._stack.workspace.program = program
        failed = False
        try:
            getattr(self._stack, verb)(on_event=events.append, on_output=lines.append, color="never")
        except automation.CommandError:
            failed = True
        messages = [event.diagnostic_event.message.strip() for event in events if event.diagnostic_event]
        root = [entry for entry in self._resources() if entry["type"] == "pulumi:pulumi:Stack"]
        run = Run(
            steps=_steps(events),
            # The lines are broken to the terminal's width; the messages are whole.
            output="\n".join([*lines, *messages]),
            messages=messages,
            outputs=root[0].get("outputs", {}) if root else {},
        )
        return run, failed


class _Forked:
    """A run in a process of its own.

    Programs run in the process that asks for the update, and a failed one leaves its coroutines behind,
    which complain (and upset Python 3.11) whenever they happen to be collected.
    """

    def __init__(self, run: Callable[[Program, str], tuple[Run, bool]], program: Program, verb: str) -> None:
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=lambda: sender.send(run(program, verb)))
        self._process.start()
        sender.close()

    def interrupt(self) -> None:
        """Sends the engine what Ctrl-C sends."""
        for process in psutil.Process(self._process.pid).children():
            if process.name() == "pulumi" and "up" in process.cmdline():
                process.send_signal(signal.SIGINT)

    def result(self) -> tuple[Run, bool]:
        """What came of it, and whether it failed."""
        try:
            result: tuple[Run, bool] = self._receiver.recv()
        finally:
            self._process.join()
        return result


def variables(folder: Path, plugins: str) -> dict[str, str]:
    """The environment of stacks whose state and plugins lie in a folder of their own.

    Args:
        folder: where to.
        plugins: ``lab`` or ``published``.
    """
    backend = folder / "backend"
    backend.mkdir(parents=True, exist_ok=True)
    found = environment.applied(os.environ)
    home = folder / "home"
    if plugins == "lab":
        _install_own(home)
    else:
        home = Path("~/.pulumi").expanduser()
    # KUBECONFIG is a default of the SDK's provider; programs here name their clusters themselves.
    return {**found, "KUBECONFIG": "", "PULUMI_HOME": str(home), "PULUMI_BACKEND_URL": f"file://{backend}"}


def _install_own(home: Path) -> None:
    for name, version in PLUGINS.items():
        plugin = home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.write_text(
            f'#!/bin/sh\nPYTHONPATH={paths.PROGRAM} exec {sys.executable} -m lab.plugins.{name} "$@"\n'
        )
        plugin.chmod(0o755)


def _nothing() -> None:
    pass


def _steps(events: Iterable[automation.EngineEvent]) -> list[Step]:
    found = []
    for event in events:
        if event.resource_pre_event:
            metadata = event.resource_pre_event.metadata
            changes = {path: diff.diff_kind.value for path, diff in (metadata.detailed_diff or {}).items()}
            kind, _, name = metadata.urn.rpartition("::")
            found.append(
                Step(
                    operation=metadata.op.value,
                    type=kind.rpartition("::")[2].rpartition("$")[2],
                    name=name,
                    changes=changes,
                )
            )
    return found
