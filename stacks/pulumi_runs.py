"""Pulumi run by a program: its preview as a list of changes, its up as a success or a sentence."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from stacks.price_table import REFUSED

PULUMI_SECONDS = 3 * 3600
"""After so long Pulumi is told to stop. Magnum may take two hours."""

LOCK = re.compile(r": created by \S+@(\S+) \(pid (\d+)\)")
"""Of each lock of a stack, in Pulumi's words: the machine and the process that hold it."""

TERSE = ("--suppress-progress", "--suppress-outputs")
"""For a log that is read by people."""

STOP_SECONDS = 600
"""How long it then may take to end what it has begun."""


class JobError(Exception):
    """The run cannot go on; the text is one sentence or two."""


class RefusedError(JobError):
    """The preview failed, since the settings refuse what the change of the pools costs."""


def preview(
    project: Path,
    stack: str,
    say: Callable[[str], None],
    *,
    said: str = "",
    environment: Mapping[str, str] | None = None,
) -> int:
    """Shows Pulumi's preview, without what was said already; returns how many resources would change.

    Args:
        project: the folder of the program.
        stack: the stack's name.
        say: shows a text.
        said: what the preview need not say again.
        environment: for the program, besides that of this process.

    Raises:
        RefusedError: if the settings refuse an over-budget change.
        JobError: if it fails for another reason.
    """
    done = _pulumi(project, ["preview", "--stack", stack, "--non-interactive", "--json"], environment)
    if done.stderr.startswith("panic:"):
        # Seen with Pulumi 3.250, of secrets that depend on what is not there yet.
        raise JobError(
            "pulumi preview --json breaks off, as it does before a gateway stands; "
            f"run `pulumi up --stack {stack}` by hand once. Nothing was changed."
        )
    told = _digest(done.stdout)
    messages = [str(one.get("message", "")).rstrip() for one in told.get("diagnostics") or []]
    for message in messages:
        if message != said:
            say(message)
    steps = [step for step in told.get("steps") or [] if step.get("op") not in ("same", "read", "refresh")]
    for step in steps:
        say(f"  {step.get('op')} {str(step.get('urn', '')).rpartition('::')[2]}")
    if done.returncode != 0:
        kind = RefusedError if any(REFUSED in message for message in messages) else JobError
        raise kind(f"pulumi preview failed, and nothing was changed.\n{_last_words(done, told)}")
    return len(steps)


def state(project: Path, stack: str) -> str:
    """The stack's state as JSON. Secrets in it are encrypted.

    Raises:
        JobError: if it cannot be had.
    """
    done = _pulumi(project, ["stack", "export", "--stack", stack])
    if done.returncode != 0:
        raise JobError(f"pulumi stack export failed, and nothing was changed.\n{_last_words(done, {})}")
    return done.stdout


def up(
    project: Path,
    stack: str,
    say: Callable[[str], None],
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Applies what the preview showed; the arguments are the same.

    Raises:
        JobError: if it fails.
    """
    command = ["up", "--stack", stack, "--non-interactive", "--yes", "--skip-preview", *TERSE]
    done = _pulumi(project, command, environment)
    if done.returncode != 0 and only_locked_by_the_dead(done.stderr):
        say("The lock of a Pulumi that died on this machine is removed.")
        _pulumi(project, ["cancel", "--stack", stack, "--yes"])
        done = _pulumi(project, command, environment)
    if done.returncode != 0:
        raise JobError(f"pulumi up failed; the next run tries again.\n{_last_words(done, {})}")
    say(done.stdout.rstrip())


def only_locked_by_the_dead(text: str) -> bool:
    """Whether Pulumi refuses by its locks alone, and who holds them ran on this machine and does no more.

    So it is after a power cut. A lock of another machine may well be in use.
    """
    holders = LOCK.findall(text)
    return bool(holders) and all(
        host == platform.node() and not psutil.pid_exists(int(process)) for host, process in holders
    )


def _pulumi(
    project: Path, arguments: Sequence[str], more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *arguments]
    # Pulumi runs the program by the python found first on PATH: this one, which cron does not put there.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true", **(more or {})}
    # Files, not pipes: should this process be killed, Pulumi writes on, and ends what it has begun.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        try:
            # In a session of its own Ctrl+C reaches it once, through here: twice would end it at once.
            process = subprocess.Popen(
                command,
                cwd=project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise JobError(
                "The program pulumi is not on the PATH; the rung is decided, not applied."
            ) from None
        try:
            process.wait(timeout=PULUMI_SECONDS)
        except subprocess.TimeoutExpired:
            _stop(process)
            raise JobError(
                f"pulumi {arguments[0]} did not end in {PULUMI_SECONDS // 3600} h and was told to stop; "
                f"look with `pulumi stack --stack {arguments[2]}`."
            ) from None
        except KeyboardInterrupt:
            _stop(process)
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, output.read(), errors.read())


def _stop(process: subprocess.Popen[bytes]) -> None:
    """As by Ctrl+C: Pulumi ends what it has begun, and writes its state."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise JobError(
            f"pulumi, process {process.pid}, was told to stop and still waits for the cloud. "
            "It ends by itself."
        ) from None


def _digest(text: str) -> dict[str, Any]:
    """The preview as JSON; empty if it is none, as after some failures."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _last_words(done: subprocess.CompletedProcess[str], told: dict[str, Any]) -> str:
    """What a failed program said last, where nothing of it was shown yet."""
    if told.get("diagnostics"):
        return "It says why above."
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    return "It said:\n" + "\n".join(line for line in lines[-20:] if line.strip())
