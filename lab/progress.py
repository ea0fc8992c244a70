"""One line per finished step, with its time, so that nobody stares at a silent terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from lab.errors import LabError


def say(text: str) -> None:
    """Prints a line on standard error, where it never mixes with ``env`` or ``--json`` output."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Announces a step and, when it ends, says how long it took (seconds)."""
    began = time.monotonic()
    say(f"… {text}")
    try:
        yield
    except LabError as error:
        # Said at once: other steps may go on for a quarter of an hour before the command ends.
        say(f"✗ {text} ({time.monotonic() - began:.1f} s): {error}")
        raise
    except BaseException:
        say(f"✗ {text} ({time.monotonic() - began:.1f} s)")
        raise
    say(f"✓ {text} ({time.monotonic() - began:.1f} s)")
