"""What is wrong with a stack's settings, told so that it can be cured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

NAMESPACE = "gateway"
"""Namespace of the settings in Pulumi.<stack>.yaml."""

_NO_VALUE = object()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing to cure.

    Attributes:
        path: where it is, as the key is written in the file: ``gateway:pools.low.max``.
        message: what is wrong there, and what would be right; its subject is the setting.
        value: what was found there; left out where there is none, or where it is a secret.
    """

    path: str
    message: str
    value: object = _NO_VALUE

    def __str__(self) -> str:
        found = "" if self.value is _NO_VALUE else f" = {_short(self.value)}"
        return f"{self.path}{found}: {self.message}"


class SettingsError(Exception):
    """Settings that cannot be used; the text has one line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def key_path(*parts: str | int) -> str:
    """The key's path as written in the file: names joined by dots, positions in brackets."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return f"{NAMESPACE}:{path}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
