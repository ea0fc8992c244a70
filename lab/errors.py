"""What the lab says when it cannot go on."""

from __future__ import annotations


class LabError(Exception):
    """Something the operator can act on; its text is one or two sentences that name the cure."""
