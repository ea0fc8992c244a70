"""Runs a plugin: serves the engine that started it, and ends when that engine does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.plugins.children import GRACE, Children
from lab.plugins.engine import Engine
from lab.plugins.provider import Cancellation, Provider
from lab.plugins.servicer import Servicer

Maker = Callable[[Engine, Cancellation, Children], Provider]

_MESSAGE_LIMIT = 400 * 1024 * 1024
"""Bytes; the engine's own limit."""

_THREADS = 256
"""More than resources are ever worked on at once, so that an interrupt finds a free one."""


def main(arguments: Sequence[str], make: Maker) -> None:
    """Serves until the engine ends.

    Args:
        arguments: the command line as the engine wrote it: flags, and the engine's own address.
        make: makes the provider.
    """
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    if not addresses:
        sys.exit("This is a Pulumi plugin: `pulumi` starts it and tells it its own address.")
    cancellation = Cancellation()
    children = Children(cancellation)
    engine = Engine(addresses[0])
    provider = make(engine, cancellation, children)
    server = grpc.server(
        futures.ThreadPoolExecutor(_THREADS),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
            ("grpc.max_send_message_length", _MESSAGE_LIMIT),
        ],
    )
    servicer = Servicer(provider, cancellation, engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=_end_with_parent, args=(cancellation, children), daemon=True).start()
    print(port, flush=True)
    # At its end the engine interrupts its plugins, and kills those that are not gone in five seconds. An
    # operator's Ctrl-C does not come this way: the engine asks for cancellation then.
    signal.signal(signal.SIGINT, lambda _number, _frame: server.stop(None))
    server.wait_for_termination()
    _end(cancellation, children, 0)


def _end_with_parent(cancellation: Cancellation, children: Children) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    _end(cancellation, children, 1)


def _end(cancellation: Cancellation, children: Children, code: int) -> None:
    cancellation.cancel()
    children.wait_none(GRACE + 5)
    # Threads that still serve a dead engine must not hold up the end.
    os._exit(code)
