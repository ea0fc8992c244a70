"""Pure functions from plain arguments to values of the JupyterHub chart, one concern a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Values = dict[str, Any]
"""Values of a Helm chart: plain data, with secrets as leaves that only the caller can read."""


def merged(*parts: Mapping[str, Any]) -> Values:
    """All parts in one tree.

    Raises:
        ValueError: if two parts set the same value: each concern has its own.
    """
    tree: Values = {}
    for part in parts:
        _add(tree, part, "")
    return tree


def _add(tree: Values, part: Mapping[str, Any], path: str) -> None:
    for key, value in part.items():
        if key not in tree:
            tree[key] = merged(value) if isinstance(value, dict) else value
        elif isinstance(tree[key], dict) and isinstance(value, dict):
            _add(tree[key], value, f"{path}{key}.")
        else:
            raise ValueError(f"chart value {path}{key} is set twice")
