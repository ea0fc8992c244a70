"""The command that jupyter-server-proxy starts: ``python -m virtual_desktop FOLDER PARENT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from . import supervisor

if __name__ == "__main__":
    sys.exit(asyncio.run(supervisor.main(Path(sys.argv[1]), int(sys.argv[2]))))
