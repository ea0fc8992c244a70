"""Reads a Pulumi.<stack>.yaml as Pulumi does, so that the tests of settings need no Pulumi."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

PROGRAM = Path(__file__).resolve().parents[2]
GOOD = PROGRAM / "tests" / "unit" / "settings" / "good"
BAD = PROGRAM / "tests" / "unit" / "settings" / "bad"


def configuration(path: Path) -> tuple[dict[str, str], set[str]]:
    """The file's configuration as the program gets it: texts by key, and the keys that hold secrets."""
    config: dict[str, str] = {}
    secret: set[str] = set()
    for key, value in yaml.safe_load(path.read_text())["config"].items():
        plain = _decrypted(value, key, secret)
        # Pulumi hands over no text for null.
        config[key] = plain if isinstance(plain, str) else "" if plain is None else json.dumps(plain)
    return config, secret


def _decrypted(value: Any, key: str, secret: set[str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            secret.add(key)
            return value["secure"]
        return {name: _decrypted(inner, key, secret) for name, inner in value.items()}
    if isinstance(value, list):
        return [_decrypted(inner, key, secret) for inner in value]
    return value
