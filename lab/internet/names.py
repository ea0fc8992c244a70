"""The name server that the certificate authority asks: it knows the names that Designate knows.

It gives the loopback address for a name whose record leads to a cluster's load balancer, since the true one,
of a range for documentation, leads nowhere from this machine.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
from collections.abc import Callable

A, IN = 1, 1
QUERY_SECONDS = 3.0
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question: its number, the name in lower case, the type of record, and all of it as it was sent."""

    id: int
    name: str
    kind: int
    raw: bytes


def read_question(message: bytes) -> Question:
    """The question of a message.

    Raises:
        ValueError: if it has none.
    """
    try:
        number, _, count = struct.unpack_from("!HHH", message)
        labels, position = [], 12
        while (length := message[position]) != 0:
            labels.append(message[position + 1 : position + 1 + length].decode("ascii").lower())
            position += 1 + length
        kind, _ = struct.unpack_from("!HH", message, position + 1)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError("no DNS message") from error
    if count != 1 or not labels:
        raise ValueError("no single question")
    return Question(id=number, name=".".join(labels), kind=kind, raw=message[12 : position + 5])


def reply(question: Question, status: int, address: str | None = None) -> bytes:
    """A message that answers a question, with an address or without."""
    header = struct.pack("!6H", question.id, 0x8580 | status, 1, int(address is not None), 0, 0)
    record = b""
    if address is not None:
        # The name is a pointer to the question's.
        record = struct.pack("!HHHIH", 0xC00C, A, IN, 0, 4) + socket.inet_aton(address)
    return header + question.raw + record


def ask(name: str, server: tuple[str, int]) -> str | None:
    """The first IPv4 address of a name by a name server, or None if it has none.

    Raises:
        OSError: if the server does not answer.
    """
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", A, IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(QUERY_SECONDS)
        wire.sendto(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + question, server)
        message = wire.recv(4096)
    if struct.unpack_from("!H", message, 6)[0] == 0:
        return None
    # Behind the question: name (a pointer), type, class, time to live, length, address.
    start = 12 + len(question) + 12
    return socket.inet_ntoa(message[start : start + 4])


def respond(message: bytes, resolve: Callable[[str], str | None]) -> bytes | None:
    """The answer to a message; None for one that deserves none.

    Args:
        message: as it came.
        resolve: a name's address or None; raises OSError if that cannot be told.
    """
    try:
        question = read_question(message)
    except ValueError:
        return None
    try:
        address = resolve(question.name)
    except OSError:
        return reply(question, SERVER_FAILURE)
    if address is None:
        return reply(question, NO_SUCH_NAME)
    return reply(question, NO_ERROR, address if question.kind == A else None)
