"""Names that the program leaves to us, by the published plugin's rule."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from lab.plugins.values import UNKNOWN, Properties, Secret, Value, reveal

AUTONAMED = "pulumi.com/autonamed"
"""The annotation of an object whose name was made up."""

_DIGITS = 8


def made_up(name: str, seed: bytes) -> str:
    """The program's name for a resource, a dash, and eight hexadecimal digits.

    Args:
        name: the resource's name in the program.
        seed: the engine's seed, the same in preview and update; empty for another name each time.
    """
    digits = hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(_DIGITS)
    return f"{name}-{digits[:_DIGITS]}"


def is_autonamed(item: Properties) -> bool:
    """Was this object's name made up?"""
    annotations = metadata(item).get("annotations")
    return isinstance(annotations, dict) and annotations.get(AUTONAMED) == "true"


def metadata(item: Properties) -> Properties:
    """An object's metadata without secrets; empty if there is none, or it is not known yet."""
    found = reveal(item.get("metadata"))
    return found if isinstance(found, dict) else {}


def named(item: Properties, old: Properties, name: str, seed: bytes) -> Properties:
    """An object with a name: its own, else the made-up one it had, else a new made-up one.

    Args:
        item: the object that the program wants.
        old: the object that it wanted last time; empty if it is new.
        name: the resource's name in the program.
        seed: see `made_up`.
    """
    if item.get("metadata") is UNKNOWN or metadata(item).get("name"):
        return item
    kept = metadata(old).get("name") if is_autonamed(old) else None
    return with_metadata(item, lambda about: _autonamed(about, kept or made_up(name, seed)))


def with_metadata(item: Properties, change: Callable[[Properties], Properties]) -> Properties:
    """An object with changed metadata; metadata that are a secret stay one."""
    about = item.get("metadata")
    if isinstance(about, Secret):
        return {**item, "metadata": Secret(change(about.value))}
    return {**item, "metadata": change(about or {})}


def _autonamed(about: Properties, name: str) -> Properties:
    annotations: Value = about.get("annotations")
    if isinstance(annotations, Secret):
        marked: Value = Secret({**annotations.value, AUTONAMED: "true"})
    else:
        marked = {**(annotations if isinstance(annotations, dict) else {}), AUTONAMED: "true"}
    return {**about, "name": name, "annotations": marked}
