"""Runs the lab's command line."""

from __future__ import annotations

import sys

try:
    from lab.cli import app
except ModuleNotFoundError as error:
    sys.exit(
        f"The lab needs the Python package {error.name}: run `make .venv`, then `.venv/bin/python -m lab`."
    )

app(prog_name="python -m lab")
