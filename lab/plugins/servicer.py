"""The engine's resource provider protocol, in front of a `Provider`."""

from __future__ import annotations

import dataclasses
import functools
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.plugins.differences import Change, changed_names, lies_inside, path_text
from lab.plugins.engine import Engine
from lab.plugins.provider import (
    Cancellation,
    CancelledError,
    Difference,
    PluginError,
    Problem,
    Provider,
    Resource,
    UnfinishedError,
)
from lab.plugins.values import decode, encode

Request = TypeVar("Request")
Response = TypeVar("Response")

_CHANGED = {
    Change.ADD: provider_pb2.PropertyDiff.ADD,
    Change.DELETE: provider_pb2.PropertyDiff.DELETE,
    Change.UPDATE: provider_pb2.PropertyDiff.UPDATE,
}
_REPLACED = {
    Change.ADD: provider_pb2.PropertyDiff.ADD_REPLACE,
    Change.DELETE: provider_pb2.PropertyDiff.DELETE_REPLACE,
    Change.UPDATE: provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


def _answering(
    method: Callable[[Servicer, Request], Response],
) -> Callable[[Servicer, Request, grpc.ServicerContext], Response]:
    @functools.wraps(method)
    def answer(servicer: Servicer, request: Request, context: grpc.ServicerContext) -> Response:
        try:
            return method(servicer, request)
        except UnfinishedError as error:
            _refuse_with_state(context, error)
        except CancelledError as error:
            context.abort(grpc.StatusCode.CANCELLED, str(error))
        except PluginError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            # A defect of the plugin itself: its details belong in the engine's log, not on the screen, where
            # the engine shows whatever a plugin writes to its standard error.
            servicer._engine.debug(traceback.format_exc())
            context.abort(grpc.StatusCode.INTERNAL, f"the plugin failed ({type(error).__name__}: {error})")

    return answer


def _refuse_with_state(context: grpc.ServicerContext, error: UnfinishedError) -> NoReturn:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.state.id,
        properties=encode(error.state.outputs),
        reasons=[str(error)],
        inputs=encode(error.state.inputs) if error.state.inputs is not None else None,
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates between the protocol's messages and a provider.

    What the protocol has and this class does not name (component resources, schemas, lists) is refused
    by the base class as not implemented.
    """

    def __init__(self, provider: Provider, cancellation: Cancellation, engine: Engine) -> None:
        self._provider = provider
        self._cancellation = cancellation
        self._engine = engine

    @_answering
    def GetPluginInfo(self, _request: empty_pb2.Empty) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The plugin's version."""
        return plugin_pb2.PluginInfo(version=self._provider.version)

    @_answering
    def CheckConfig(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:  # noqa: N802
        """Are the provider's own settings right?"""
        problems = self._provider.check_config(decode(request.news))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(problems))

    @_answering
    def DiffConfig(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:  # noqa: N802
        """What changed settings of the provider mean for its resources."""
        old = request.old_inputs if request.HasField("old_inputs") else request.olds
        return _differences(self._provider.diff_config(decode(old), decode(request.news)))

    @_answering
    def Configure(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:  # noqa: N802
        """Hands over the provider's settings."""
        self._provider.configure(decode(request.args))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_answering
    def Invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:  # noqa: N802
        """Runs a function."""
        answer = self._provider.invoke(request.tok, decode(request.args))
        response = provider_pb2.InvokeResponse()
        # The field's name is a word of Python's own.
        getattr(response, "return").CopyFrom(encode(answer))
        return response

    @_answering
    def Construct(self, request: provider_pb2.ConstructRequest) -> provider_pb2.ConstructResponse:  # noqa: N802
        """Refuses: neither plugin has component resources."""
        self._provider.kind(request.type)
        raise PluginError(f"{request.type} is a component, which the lab's own plugin does not offer")

    @_answering
    def Check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:  # noqa: N802
        """Are a resource's inputs right?"""
        resource = Resource(
            urn=request.urn,
            inputs=decode(request.news),
            old_inputs=decode(request.olds),
            seed=request.randomSeed,
        )
        inputs, problems = self._provider.kind(resource.type).check(resource)
        return provider_pb2.CheckResponse(inputs=encode(inputs), failures=_failures(problems))

    @_answering
    def Diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:  # noqa: N802
        """What would an update change?"""
        resource = Resource(
            urn=request.urn,
            id=request.id,
            inputs=decode(request.news),
            old_inputs=decode(request.old_inputs),
            outputs=decode(request.olds),
        )
        found = self._provider.kind(resource.type).diff(resource)
        # The engine has put the old values of ignored inputs back, but knows nothing of computed ones.
        changes = {
            path: change
            for path, change in found.changes.items()
            if not lies_inside(path, request.ignoreChanges)
        }
        replaces = [path for path in found.replaces if path in changes]
        return _differences(dataclasses.replace(found, changes=changes, replaces=replaces))

    @_answering
    def Create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:  # noqa: N802
        """Makes a resource."""
        resource = Resource(
            urn=request.urn,
            inputs=decode(request.properties),
            timeout=request.timeout,
            preview=request.preview,
        )
        state = self._provider.kind(resource.type).create(resource)
        return provider_pb2.CreateResponse(id=state.id, properties=encode(state.outputs))

    @_answering
    def Read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:  # noqa: N802
        """Looks at a resource."""
        resource = Resource(
            urn=request.urn,
            id=request.id,
            old_inputs=decode(request.inputs),
            outputs=decode(request.properties),
            timeout=request.timeout,
        )
        state = self._provider.kind(resource.type).read(resource)
        if state is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=state.id, properties=encode(state.outputs), inputs=encode(state.inputs or {})
        )

    @_answering
    def Update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:  # noqa: N802
        """Changes a resource."""
        resource = Resource(
            urn=request.urn,
            id=request.id,
            inputs=decode(request.news),
            old_inputs=decode(request.old_inputs),
            outputs=decode(request.olds),
            timeout=request.timeout,
            preview=request.preview,
        )
        state = self._provider.kind(resource.type).update(resource)
        return provider_pb2.UpdateResponse(properties=encode(state.outputs))

    @_answering
    def Delete(self, request: provider_pb2.DeleteRequest) -> empty_pb2.Empty:  # noqa: N802
        """Removes a resource."""
        resource = Resource(
            urn=request.urn,
            id=request.id,
            old_inputs=decode(request.old_inputs),
            outputs=decode(request.properties),
            timeout=request.timeout,
        )
        self._provider.kind(resource.type).delete(resource)
        return empty_pb2.Empty()

    @_answering
    def Cancel(self, _request: empty_pb2.Empty) -> empty_pb2.Empty:  # noqa: N802
        """Ends all waits."""
        self._cancellation.cancel()
        return empty_pb2.Empty()


def _failures(problems: Sequence[Problem]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=found.property, reason=found.reason) for found in problems]


def _differences(difference: Difference) -> provider_pb2.DiffResponse:
    detailed = {}
    for path, change in difference.changes.items():
        kinds = _REPLACED if path in difference.replaces else _CHANGED
        detailed[path_text(path)] = provider_pb2.PropertyDiff(kind=kinds[change], inputDiff=True)
    some = provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some,
        replaces=[path_text(path) for path in difference.replaces],
        deleteBeforeReplace=difference.delete_before_replace,
        diffs=changed_names(difference.changes),
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )
