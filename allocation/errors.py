"""What the allocation's commands tell their user when they cannot go on."""

from __future__ import annotations


class AllocationError(Exception):
    """A failure told in words: what is wrong, where, and what would cure it. Shown without a traceback."""
