"""Runs the allocation's command line."""

from __future__ import annotations

import sys

try:
    from allocation.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"The Python package {error.name} is missing: run `make .venv`, then "
        "`.venv/bin/python -m allocation`."
    )

main()
