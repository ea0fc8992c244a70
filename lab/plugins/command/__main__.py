"""``python -m lab.plugins.command``: what the engine starts as ``pulumi-resource-command``."""

from __future__ import annotations

import sys

from lab.plugins.command.plugin import Command
from lab.plugins.server import main

main(sys.argv[1:], Command)
