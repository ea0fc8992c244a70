"""Makes the hub's three keys; prints them as one JSON object, for a reader that keeps them secret.

The chart would make random ones itself, but anew for every rendering outside a cluster, and each of those
would log all users out.
"""

from __future__ import annotations

import json
import secrets

BYTES = 32


def new_keys() -> dict[str, str]:
    """Random keys in hexadecimal: for cookies, for the proxy's interface, for users' stored credentials."""
    return {name: secrets.token_hex(BYTES) for name in ("cookie_secret", "proxy_token", "crypt_key")}


if __name__ == "__main__":
    print(json.dumps(new_keys()))
