"""Runs the program against a monitor that records what would be registered, with all its options."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import mocks

SECRET = "4dabf18193072939515e22adb298388d"  # how Pulumi's wire format marks a secret
SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"

PROVIDED: dict[str, dict[str, Any]] = {
    "kubernetes:core/v1:Service": {"spec": {"clusterIP": "172.24.0.9"}},
    "openstack:containerinfra/cluster:Cluster": {"kubeconfig": {"raw_config": "raw-kubeconfig"}},
    "openstack:networking/floatingIp:FloatingIp": {"address": "203.0.113.7"},
    "openstack:sharedfilesystem/share:Share": {
        "exportLocations": [{"path": "192.0.2.1:6789,192.0.2.2:6789:/volumes/_nogroup/abc"}]
    },
    "openstack:sharedfilesystem/shareAccess:ShareAccess": {"accessKey": "a-share-key"},
    "command:local:Command": {
        "stdout": '{"cookie_secret": "c", "proxy_token": "p", "crypt_key": "k"}',
    },
}
"""Outputs that the program reads, by type."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the engine would be told of it.

    Attributes:
        type: its type token.
        name: its logical name.
        inputs: its properties; secrets are ``{"secret": value}``.
        depends_on: logical names of the resources it waits for.
        request: everything else.
    """

    type: str
    name: str
    inputs: dict[str, Any]
    depends_on: list[str]
    request: Any


class _Answers(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"the program asks a provider for {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", {**args.inputs, **PROVIDED.get(args.typ, {})}


class _Monitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Answers())
        self.registered: list[Registered] = []
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        if request.type != "pulumi:pulumi:Stack":
            inputs = json_format.MessageToDict(request.object)
            self.registered.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    inputs=_readable(inputs),
                    depends_on=[urn.rpartition("::")[2] for urn in request.dependencies],
                    request=request,
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        if request.urn.rpartition("::")[2] == "science-gateway-test":
            self.outputs = _readable(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a run of the program registered, and the stack's outputs."""

    registered: list[Registered]
    outputs: dict[str, Any]

    def one(self, name: str) -> Registered:
        """The resource of a logical name; there must be exactly one."""
        (found,) = [resource for resource in self.registered if resource.name == name]
        return found

    def of_type(self, token: str) -> list[Registered]:
        """All resources of a type, in the order of their registration."""
        return [resource for resource in self.registered if resource.type == token]


def run(program: Callable[[], None]) -> Run:
    """Runs a program as the stack ``test``, in a context of its own: Pulumi's runtime stays as it was."""
    return contextvars.copy_context().run(_run, program)


def _run(program: Callable[[], None]) -> Run:
    monitor = _Monitor()
    # set_mocks would also make a stack resource, finished before the program has exported anything.
    features = set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]
    pulumi.runtime.configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=features,
            engine=mocks.MockEngine(None),
            project="science-gateway",
            stack="test",
            dry_run=False,
            callbacks=None,
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        # There is no engine that could call a hook back, and Pulumi refuses hooks without one.
        patch.setattr(pulumi.resource_hooks, "register_resource_hook", _registered_at_once)
        asyncio.run(pulumi.runtime.run_in_stack(program))
    return Run(registered=monitor.registered, outputs=monitor.outputs)


def _registered_at_once(hook: pulumi.ResourceHook) -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SECRET) == SIGNATURE:
            return {"secret": _readable(value["value"])}
        return {key: _readable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return value
