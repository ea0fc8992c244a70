"""What each user's server does as it starts: commands in order, none of which can hold up a login."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

SHARE = "/share"
"""Where servers see the shared drive."""

LOG = "/proc/1/fd/1"
"""The output of the server itself, which `kubectl logs` shows."""

SECONDS = 60
"""Most time for a command."""

TUTORIALS_SECONDS = 120
"""Most time for the tutorials: their first copy is the whole of a repository."""

ANSWER_SECONDS = 10
"""Most time for the tutorials' repository to say anything at all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Something to do.

    Attributes:
        name: what its lines in the log begin with.
        run: text for bash, run in the home.
        must_succeed: whether its failure refuses the server.
        seconds: after how long it is stopped, and counts as failed.
    """

    name: str
    run: str
    must_succeed: bool = False
    seconds: int = SECONDS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tutorials:
    """Notebooks for every home.

    Attributes:
        repository: address of a git repository.
        branch: the branch to follow.
        folder: its name in the home.
        depth: newest commits to fetch; 0 for all.
    """

    repository: str
    branch: str
    folder: str
    depth: int


def share_link(drive: str = SHARE) -> Command:
    """Makes ``~/share`` lead to the shared drive; what a user has under that name is left alone."""
    text = f"""\
drive={shlex.quote(drive)}
if [ -L "$HOME/share" ] && [ "$(readlink "$HOME/share")" = "$drive" ]; then
  exit 0
fi
if [ -e "$HOME/share" ] || [ -L "$HOME/share" ]; then
  echo "$HOME/share is the user's own and is left alone; the shared drive is $drive"
  exit 1
fi
ln -s "$drive" "$HOME/share"
"""
    return Command(name="share-link", run=text)


def pull(tutorials: Tutorials, *, answer_s: int = ANSWER_SECONDS) -> Command:
    """Copies the tutorials into the home, or brings them up to date and keeps what the user changed.

    nbgitpuller commits into whatever repository it finds, so a folder of another origin is left alone.

    Args:
        tutorials: what to copy.
        answer_s: after how many seconds without an answer the home stays as it is.
    """
    text = f"""\
repository={shlex.quote(tutorials.repository)}
folder="$HOME"/{shlex.quote(tutorials.folder)}
plain() {{ local address="${{1%/}}"; printf '%s' "${{address%.git}}"; }}
# No question at a terminal that nobody sees, and no long wait for a transfer that has stopped.
export GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=20
export NBGITPULLER_DEPTH={tutorials.depth}
# Looked for in files: git itself may fail to find a commit for other reasons, and here that means deletion.
without_a_branch() {{
  [ -d "$1/.git" ] && grep -qs '^ref: ' "$1/.git/HEAD" && [ -z "$(find "$1/.git/refs/heads" -type f)" ] &&
    ! grep -qs ' refs/heads/' "$1/.git/packed-refs" && [ ! -s "$1/.git/logs/HEAD" ]
}}
cut_off=false
if [ -e "$folder" ] || [ -L "$folder" ]; then
  origin="$(git -C "$folder" config --get remote.origin.url)"
  if [ -z "$origin" ] && without_a_branch "$folder" && [ "$(ls -A "$folder")" = .git ]; then
    cut_off=true
  elif [ ! -e "$folder/.git" ] || [ "$(plain "$origin")" != "$(plain "$repository")" ]; then
    echo "$folder is no copy of $repository and is left alone"
    exit 1
  elif without_a_branch "$folder"; then
    cut_off=true
  fi
fi
# Git has no time limit of its own for a connection, and waits minutes on a network that drops everything.
timeout --kill-after=2 {answer_s} git ls-remote --heads "$repository" >/dev/null
status=$?
case "$status" in
  0) ;;
  124 | 137) echo "$repository does not answer within {answer_s} seconds"; exit 1 ;;
  *) exit "$status" ;;
esac
if [ "$cut_off" = true ]; then
  # A first copy that was cut off, in which every later pull would fail. It has checked nothing out yet, so
  # that all but git's own folder is the user's.
  rm -rf "$folder/.git"
  rmdir "$folder" 2>/dev/null || mv "$folder" "$folder.unfinished.$(date +%s)"
fi
gitpuller "$repository" {shlex.quote(tutorials.branch)} "$folder"
"""
    return Command(name="tutorials", run=text, seconds=TUTORIALS_SECONDS)


def within(commands: Sequence[Command], seconds: int) -> list[Command]:
    """The same commands with less time each, where all of them together could take longer.

    Args:
        commands: in their order.
        seconds: for all of them.
    """
    wanted = sum(command.seconds for command in commands)
    if wanted <= seconds:
        return list(commands)
    return [
        dataclasses.replace(command, seconds=max(1, command.seconds * seconds // wanted))
        for command in commands
    ]


def start_script(commands: Sequence[Command], *, log: str = LOG) -> str:
    """The text of a bash script that runs all commands, and fails only where one must succeed.

    Args:
        commands: in their order.
        log: where its lines go.
    """
    calls = "\n".join(
        shlex.join(
            ["attempt", command.name, str(command.seconds), str(command.must_succeed).lower(), command.run]
        )
        for command in commands
    )
    return f"""\
#!/bin/bash
# Kubernetes runs this as a server starts, beside the server; if it fails, the server is stopped.
log={shlex.quote(log)}
if (: >>"$log") 2>/dev/null; then exec >>"$log" 2>&1; fi
cd "$HOME" || exit 0
say() {{ printf '%s start-commands %s: %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2"; }}
attempt() {{
  local name="$1" seconds="$2" must_succeed="$3" status
  say "$name" begins
  # Its own output may stay open in what it leaves behind; nothing here waits for that.
  timeout --kill-after=5 "$seconds" bash -c "$4" </dev/null
  status=$?
  case "$status" in
    0) say "$name" done; return ;;
    124) say "$name" "stopped after $seconds seconds" ;;
    137) say "$name" "killed, for want of memory or because $seconds seconds did not end it" ;;
    *) say "$name" "failed with status $status" ;;
  esac
  if [ "$must_succeed" = true ]; then
    say "$name" "must succeed, so this server is refused"
    exit 1
  fi
}}
{calls}
exit 0
"""
