"""As much of the VNC protocol (RFC 6143) as it takes to be let in or refused."""

from __future__ import annotations

import socket
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

VERSION = b"RFB 003.008\n"
NONE, PASSWORD = 1, 2
"""Kinds of security (7.2)."""


def kinds_of_security(path: Path) -> list[int]:
    """What the server offers."""
    with _connected(path) as connection:
        return list(_receive(connection, _receive(connection, 1)[0]))


def is_let_in(path: Path, password: str) -> bool:
    """Does the server take this password?"""
    with _connected(path) as connection:
        _receive(connection, _receive(connection, 1)[0])
        connection.sendall(bytes([PASSWORD]))
        connection.sendall(response(_receive(connection, 16), password))
        return _receive(connection, 4) == bytes(4)


def response(challenge: bytes, password: str) -> bytes:
    """The challenge, encrypted by DES with the password, whose bytes' bits are reversed (7.2.2)."""
    padded = password.encode()[:8].ljust(8, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in padded)
    # DES thrice with the same key is DES.
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's
    return encryptor.update(challenge) + encryptor.finalize()


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(90)
    connection.connect(str(path))
    assert _receive(connection, 12) == VERSION
    connection.sendall(VERSION)
    return connection


def _receive(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        assert more, "the server has closed the connection"
        got += more
    return got
