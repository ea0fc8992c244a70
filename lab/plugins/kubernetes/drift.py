"""What of a program's wishes is still in force in the cluster."""

from __future__ import annotations

import base64
import binascii
import copy
from typing import Any

from lab.plugins.values import Properties

_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_CONTROLLERS_OWN = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


def in_force(declared: Any, applied: Any, live: Any) -> Any:
    """The declared fields as they are now: the declared value where it is in force, else the live one.

    Servers rewrite values (a CPU of "1000m" becomes "1") and add to lists. So the live object is not
    compared with the declaration but with what the server itself would make of it.

    Args:
        declared: what the program wants.
        applied: the whole object as it would be if that were applied now.
        live: the whole object as it is.
    """
    if applied == live:
        return copy.deepcopy(declared)
    if isinstance(declared, dict) and isinstance(applied, dict) and isinstance(live, dict):
        return {
            name: in_force(value, applied.get(name), live.get(name))
            for name, value in declared.items()
            if name in live or name not in applied
        }
    if isinstance(declared, list) and isinstance(applied, list) and isinstance(live, list):
        if len(declared) == len(applied) == len(live):
            return [in_force(*parts) for parts in zip(declared, applied, live, strict=True)]
        return copy.deepcopy(live)
    return copy.deepcopy(live)


def with_string_data(item: Properties, declared: Properties) -> Properties:
    """A Secret as the server keeps it, with the ``stringData`` that the program declared.

    The server takes stringData but only ever tells data.
    """
    wanted = declared.get("stringData")
    data = item.get("data")
    if item.get("kind") != "Secret" or not isinstance(wanted, dict) or not isinstance(data, dict):
        return item
    texts = {name: _text(data[name]) for name in wanted if name in data}
    return {**item, "stringData": texts}


def without_bookkeeping(item: Properties) -> Properties:
    """An object as somebody could have declared it: for an import, where nothing else is known."""
    about = {name: value for name, value in item["metadata"].items() if name not in _SERVERS_OWN}
    annotations = {
        name: value
        for name, value in (about.pop("annotations", None) or {}).items()
        if name not in _CONTROLLERS_OWN
    }
    if annotations:
        about["annotations"] = annotations
    return {**{name: value for name, value in item.items() if name != "status"}, "metadata": about}


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return encoded
