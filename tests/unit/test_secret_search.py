"""The search for secrets finds them: one that cannot fail would prove nothing."""

from __future__ import annotations

import base64
import json

import pytest

from tests.lab.secret_search import shown

KEY = "-----BEGIN A KEY-----\nMIIEvQ+/\n-----END A KEY-----\n"
SECRETS = {"password": "correct horse", "key": KEY}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "held",
    [
        "said: {}.",
        pytest.param(None, id="JSON"),
        pytest.param(b"", id="base64"),
        pytest.param(b"?", id="base64 with more behind"),
    ],
)
def test_a_secret_is_found_in_each_of_its_forms(name: str, held: str | bytes | None) -> None:
    secret = SECRETS[name]
    if held is None:
        text = json.dumps({"data": {"it": secret}})
    elif isinstance(held, bytes):
        text = f'"data": "{base64.b64encode(secret.encode() + held).decode()}"'
    else:
        text = held.format(secret)
    assert shown(SECRETS, {"here": text, "there": "nothing of it"}) == [(name, "here")]
