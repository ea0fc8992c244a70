"""``python -m jupyter_image.root_folder [COMMAND…]``: makes the root folder, and runs a command in it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from jupyter_image.root_folder import build, namespace, rehearsal
from jupyter_image.root_folder.namespace import RootFolderError


def main() -> int:
    """The command line."""
    if reason := namespace.unable():
        print(f"No root folder can be made here: {reason}.", file=sys.stderr)
        return 1
    try:
        built = rehearsal.image()
    except RootFolderError as error:
        print(error, file=sys.stderr)
        return 1
    for folder in reversed(built.layers.folders):
        print(f"{build.size_megabytes(folder):5} MB  {folder}", file=sys.stderr)
    if len(sys.argv) == 1:
        return 0
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, 1000, 100)
        inside = rehearsal.as_user(built, Path(home))
        with namespace.started(inside, [*rehearsal.ENTRY_POINT, *sys.argv[1:]]) as process:
            return process.wait()


if __name__ == "__main__":
    sys.exit(main())
