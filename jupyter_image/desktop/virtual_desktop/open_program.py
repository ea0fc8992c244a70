"""The launchers' command: starts a program, or says in a dialog that it is not there."""

from __future__ import annotations

import os
import shutil
import sys

from .programs import LEAN, path_of


def main() -> None:
    """``virtual-desktop-open TITLE PROGRAM [ARGUMENT...]``."""
    if len(sys.argv) < 3:
        sys.exit("virtual-desktop-open TITLE PROGRAM [ARGUMENT...]")
    title, program, *arguments = sys.argv[1:]
    found = shutil.which(program)
    command = [found, *arguments] if found else dialog(title, program)
    # The panel does without OpenGL; what it starts need not.
    environment = {name: text for name, text in os.environ.items() if name not in LEAN}
    # In our place, so that nothing of us stays in memory.
    os.execve(command[0], command, environment)  # noqa: S606 - a program of the launcher's, without a shell


def dialog(title: str, program: str) -> list[str]:
    """The command of a dialog that says what is missing."""
    text = f"{title} is not installed here: there is no {program}. Ask the gateway's operators for it."
    # Without it there is no desktop either: see programs.PACKAGES.
    zenity = path_of("zenity")
    return [zenity, "--error", "--no-markup", f"--title={title}", f"--text={text}", "--width=420"]
