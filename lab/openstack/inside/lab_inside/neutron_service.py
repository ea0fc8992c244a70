"""Neutron, which before it serves knows its policy.

Left to itself it learns that with its first request, and a second one that comes meanwhile is judged by the
half of it: an administrator was refused.
"""

from __future__ import annotations

# First: importing it reads the configuration.
from neutron.wsgi.api import application

# isort: split

from neutron import policy

__all__ = ["application", "start"]


def start() -> None:
    """Reads the policy."""
    policy.init()
