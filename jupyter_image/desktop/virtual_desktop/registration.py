"""What jupyter-server-proxy is told: the launcher card, the command, and what counts as activity."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from . import folder
from .activity import Inputs

TITLE = "Virtual Desktop"
ICON = Path(__file__).parent / "page" / "icon.svg"
START_SECONDS = 60
"""Until the supervisor answers; it does in half a second, unless the machine is very busy."""


def server() -> dict[str, Any]:
    """The server's description; nothing is started or written by asking for it.

    jupyter-server-proxy's documentation lists the keys under "Server Process options".
    """
    place = folder.choose(os.environ)
    return {
        "command": _literally([sys.executable, "-P", "-m", "virtual_desktop", str(place), str(os.getpid())]),
        "unix_socket": str(folder.door(place)),
        "timeout": START_SECONDS,
        "update_last_activity": Inputs(folder.last_input(place)).are_new,
        "launcher_entry": {"title": TITLE, "icon_path": str(ICON), "category": "Notebook"},
    }


def _literally(command: list[str]) -> list[str]:
    """jupyter-server-proxy reads each argument as a format string."""
    return [argument.replace("{", "{{").replace("}", "}}") for argument in command]
