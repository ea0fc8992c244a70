"""The way back from a plugin to the Pulumi engine: messages for the operator."""

from __future__ import annotations

import contextlib

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class Engine:
    """The engine that started this plugin."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def info(self, text: str, urn: str) -> None:
        """Shows a message of a resource that stays on the screen."""
        self._log(engine_pb2.INFO, text, urn)

    def warn(self, text: str, urn: str) -> None:
        """Shows a warning of a resource."""
        self._log(engine_pb2.WARNING, text, urn)

    def status(self, text: str, urn: str) -> None:
        """Shows what a resource is doing right now; the next status takes its place."""
        self._log(engine_pb2.INFO, text, urn, ephemeral=True)

    def debug(self, text: str) -> None:
        """Keeps a message for `pulumi --debug`; without that, nobody sees it."""
        self._log(engine_pb2.DEBUG, text, "")

    def _log(
        self, severity: engine_pb2.LogSeverity.ValueType, text: str, urn: str, ephemeral: bool = False
    ) -> None:
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=ephemeral)
        # A message that nobody reads must not fail the operation that it is about.
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=10)
