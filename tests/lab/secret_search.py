"""Looks for secrets where none may be, in every form that they take on the way there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping


def forms(secret: str) -> set[str]:
    """A secret as it is, as a text within JSON, and in base64.

    The last is of whole groups of three bytes, so that it is found with anything behind it.
    """
    whole = secret.encode()
    packed = base64.b64encode(whole[: len(whole) // 3 * 3]).decode()
    return {secret, json.dumps(secret)[1:-1], packed}


def shown(secrets: Mapping[str, str], places: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which secret is in which place, both by name.

    Args:
        secrets: texts of 8 characters or more; shorter ones are found anywhere.
        places: what was said, logged or kept.
    """
    return [
        (name, place)
        for name, secret in secrets.items()
        for place, held in places.items()
        if any(form in held for form in forms(secret))
    ]
