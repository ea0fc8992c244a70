"""The secrets of one session. They are in memory, in files of mode 0600, and in no command line."""

from __future__ import annotations

import dataclasses
import hmac
import os
import secrets
import socket
import string
import struct
from pathlib import Path

PASSWORD_CHARACTERS = 8
"""VNC authentication looks at no more (RFC 6143, 7.2.2)."""
FAMILY_LOCAL, FAMILY_WILD = 256, 65535
"""An X cookie for a display of this host, and for every display (``X11/Xauth.h``)."""
COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Secrets:
    """What a browser must show.

    Attributes:
        password: to x11vnc.
        ticket: to the supervisor's door, as a cookie.
        ticket_name: the cookie's name; ports share cookies, so each JupyterLab has a name of its own.
    """

    password: str = dataclasses.field(repr=False)
    ticket: str = dataclasses.field(repr=False)
    ticket_name: str

    def admits(self, ticket: str | None) -> bool:
        """Is this our ticket?"""
        return ticket is not None and hmac.compare_digest(ticket.encode(), self.ticket.encode())


def new() -> Secrets:
    """New ones."""
    letters = string.ascii_letters + string.digits
    return Secrets(
        password="".join(secrets.choice(letters) for _ in range(PASSWORD_CHARACTERS)),
        ticket=secrets.token_urlsafe(32),
        ticket_name=f"virtual-desktop-{secrets.token_hex(4)}",
    )


def write(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def x_authority(cookie: bytes, display: str = "") -> bytes:
    """The content of an ``.Xauthority`` file: family, address, number, name, cookie.

    Args:
        cookie: the secret.
        display: the display's number, once it is known. The X server and its library take a cookie for every
            display; python-xlib wants one for just this.
    """
    host = socket.gethostname().encode()
    entries = [(FAMILY_WILD, b"", b"")]
    if display:
        entries.append((FAMILY_LOCAL, host, display.encode()))
    return b"".join(
        struct.pack(">H", family) + b"".join(struct.pack(">H", len(field)) + field for field in fields)
        for family, *rest in entries
        for fields in [(*rest, COOKIE_NAME, cookie)]
    )
