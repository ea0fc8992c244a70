"""What has changed between two sets of properties, as the engine wants to be told."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping

from lab.plugins.values import Value

Path = tuple[str | int, ...]
"""Names and list positions on the way to a property."""

_PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]"]+)')
"""A quoted name, a position, or a plain name."""

_PLAIN_NAME = re.compile(r"[^.\[\]\"]+")


class Change(enum.Enum):
    """What happened to a property."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


def differences(old: Value, new: Value, path: Path = ()) -> dict[Path, Change]:
    """The smallest parts that differ.

    Absent and null are the same. Lists are compared position by position. A value that is not known
    yet differs from every other value.
    """
    if old is None or new is None:
        if old is new:
            return {}
        return {path: Change.ADD if old is None else Change.DELETE}
    if isinstance(old, dict) and isinstance(new, dict):
        parts = [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
        return _merge(differences(a, b, (*path, name)) for name, a, b in parts)
    if isinstance(old, list) and isinstance(new, list):
        length = max(len(old), len(new))
        pairs = zip(_padded(old, length), _padded(new, length), strict=True)
        return _merge(differences(a, b, (*path, at)) for at, (a, b) in enumerate(pairs))
    # True == 1 in Python, but not in a property.
    if type(old) is type(new) or {type(old), type(new)} == {int, float}:
        return {} if old == new else {path: Change.UPDATE}
    return {path: Change.UPDATE}


def path_text(path: Path) -> str:
    """A path in Pulumi's notation: ``spec.containers[0]["a.b"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _PLAIN_NAME.fullmatch(part):
            escaped = part.replace('"', r"\"")
            text += f'["{escaped}"]'
        else:
            text += f".{part}" if text else part
    return text


def touches(path: Path, properties: Iterable[str]) -> bool:
    """Does a change at a path touch one of these properties?

    It does if it lies inside one, or is one, or has one inside it (then all of it came or went).

    Args:
        path: where something changed.
        properties: in Pulumi's notation, with ``[*]`` for any position or name.
    """
    return any(_agree(path, wanted) for wanted in map(_parts, properties))


def lies_inside(path: Path, properties: Iterable[str]) -> bool:
    """Is a path one of these properties, or inside one? They are written as for `touches`."""
    return any(len(path) >= len(wanted) and _agree(path, wanted) for wanted in map(_parts, properties))


def changed_names(changes: Mapping[Path, Change]) -> list[str]:
    """The top-level properties in which something changed, in order."""
    return sorted({str(path[0]) for path in changes if path})


def _parts(text: str) -> Path:
    parts: list[str | int] = []
    for quoted, position, name in _PART.findall(text):
        parts.append(quoted.replace('\\"', '"') or name or (position if position == "*" else int(position)))
    return tuple(parts)


def _agree(path: Path, wanted: Path) -> bool:
    return all(part in ("*", found) for found, part in zip(path, wanted, strict=False))


def _padded(values: list[Value], length: int) -> list[Value]:
    return values + [None] * (length - len(values))


def _merge(found: Iterable[Mapping[Path, Change]]) -> dict[Path, Change]:
    return {path: change for part in found for path, change in part.items()}
