"""What the engine is told when a plugin fails: a sentence on the screen, the details in the engine's log."""

from __future__ import annotations

from typing import Any, NoReturn, cast

import grpc
import pytest
from google.protobuf import empty_pb2

from lab.plugins.engine import Engine
from lab.plugins.provider import Cancellation, PluginError, Provider
from lab.plugins.servicer import Servicer


class AbortedError(Exception):
    """The call has ended with a status."""


class Context:
    """A call's context, as gRPC gives it."""

    status: tuple[grpc.StatusCode, str] | None = None

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self.status = code, details
        raise AbortedError


class Failing:
    """A provider that fails in a way of its own, and an engine that keeps what it is told."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.kept: list[str] = []

    @property
    def version(self) -> str:
        raise self._error

    def debug(self, text: str) -> None:
        self.kept.append(text)


def fail(error: Exception) -> tuple[Any, list[str]]:
    both = Failing(error)
    servicer = Servicer(cast("Provider", both), Cancellation(), cast("Engine", both))
    context = Context()
    with pytest.raises(AbortedError):
        servicer.GetPluginInfo(empty_pb2.Empty(), cast("grpc.ServicerContext", context))
    return context.status, both.kept


def test_a_defect_is_a_sentence_on_the_screen_and_a_traceback_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    status, kept = fail(IndexError("list index out of range"))
    assert status == (
        grpc.StatusCode.INTERNAL,
        "the plugin failed (IndexError: list index out of range)",
    )
    assert "Traceback" in kept[0]
    assert capfd.readouterr() == ("", "")


def test_what_the_operator_can_mend_has_no_details() -> None:
    assert fail(PluginError("mend it")) == ((grpc.StatusCode.UNKNOWN, "mend it"), [])
