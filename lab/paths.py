"""Where the lab keeps things: state beside the program, reusable results in the user's cache.

State (``.lab/``, ignored by git) belongs to one checkout and is what ``reset`` removes. The cache
holds what costs minutes to make (built tools, OpenStack's virtual environment); every entry is named
by a hash of all that went into it, so checkouts share entries and never overwrite one another.
"""

from __future__ import annotations

import os
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent
STATE = PROGRAM / ".lab"

RUN = STATE / "run"
"""One pid file per process the lab has started."""

LOG = STATE / "log"
"""One log file per process, plus one per set-up step."""

BIN = STATE / "bin"
"""The tools' front door: symbolic links that ``env`` puts first on PATH."""

CLUSTERS = STATE / "clusters"
"""One folder per Magnum cluster, named by its UUID."""

CLOUDS_YAML = STATE / "clouds.yaml"
"""OpenStack's client configuration: clouds ``lab`` (the gateway's project) and ``lab-admin``."""

PULUMI_HOME = STATE / "pulumi" / "home"
PULUMI_BACKEND = STATE / "pulumi" / "backend"


def cache() -> Path:
    """The folder of reusable results: ``$LAB_CACHE``, else ``science-gateway-lab`` in the user's cache."""
    chosen = os.environ.get("LAB_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "science-gateway-lab"
