"""What a plugin consists of, whatever it speaks to: kinds of resources and the provider that holds them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from lab.plugins.differences import Change, Path
from lab.plugins.values import Properties


class PluginError(Exception):
    """Something the operator can act on; its text is one or two sentences."""


class CancelledError(PluginError):
    """The operator interrupted the update."""

    def __init__(self, doing: str) -> None:
        super().__init__(f"interrupted while {doing}")


class TimedOutError(PluginError):
    """Something did not happen in its time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """A resource as it stands.

    Attributes:
        outputs: what the program can read of it.
        inputs: what of its inputs is really in force, after a read; None otherwise.
    """

    id: str
    outputs: Properties
    inputs: Properties | None = None


class UnfinishedError(PluginError):
    """The resource exists, but is not what it should become; the engine records it and tries again."""

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource that the engine asks about.

    Attributes:
        urn: the engine's name for it.
        id: the plugin's name for it; empty before it is created.
        inputs: what the program wants now.
        old_inputs: what the program wanted when it was last created, updated or read.
        outputs: how it stood then.
        timeout: seconds that the program allows for the operation, or 0 if it does not say.
        preview: must nothing be changed?
        seed: makes random names the same in the preview and the update.
    """

    urn: str
    id: str = ""
    inputs: Properties = dataclasses.field(default_factory=dict)
    old_inputs: Properties = dataclasses.field(default_factory=dict)
    outputs: Properties = dataclasses.field(default_factory=dict)
    timeout: float = 0
    preview: bool = False
    seed: bytes = b""

    @property
    def type(self) -> str:
        """The resource's own type, such as ``kubernetes:core/v1:Namespace``."""
        return self.urn.split("::", 3)[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        """The name that the program gave it."""
        return self.urn.split("::", 3)[3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """An input that cannot be right."""

    property: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """What an update would change.

    Attributes:
        changes: the properties that differ.
        replaces: those of them that cannot change while the resource lives.
        delete_before_replace: must the old one go before the new one can be made?
    """

    changes: Mapping[Path, Change] = dataclasses.field(default_factory=dict)
    replaces: Collection[Path] = ()
    delete_before_replace: bool = False


class Kind(Protocol):
    """A kind of resource."""

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """The inputs with names and defaults filled in, and what is wrong with them."""

    def diff(self, resource: Resource) -> Difference:
        """What an update from the old inputs to the new ones would change."""

    def create(self, resource: Resource) -> State:
        """Makes it and waits until it is of use; in a preview only says what it would look like.

        Raises:
            UnfinishedError: if it exists now, but is not of use.
            PluginError: if it was not made.
        """

    def read(self, resource: Resource) -> State | None:
        """How it stands now, or None if it is gone."""

    def update(self, resource: Resource) -> State:
        """Changes it in place; raises and previews like `create`."""

    def delete(self, resource: Resource) -> None:
        """Removes it and waits until it is gone; one that is gone already is fine."""


class Provider(Protocol):
    """All of a plugin that one configuration of it holds."""

    version: str

    def check_config(self, settings: Properties) -> Sequence[Problem]:
        """What is wrong with the provider's own settings."""

    def diff_config(self, old: Properties, new: Properties) -> Difference:
        """What it means for the resources that the provider's settings change."""

    def configure(self, settings: Properties) -> None:
        """Takes the settings, before anything else is asked of it."""

    def kind(self, resource_type: str) -> Kind:
        """The kind of resource of this type; raises PluginError if there is none."""

    def invoke(self, function: str, arguments: Properties) -> Properties:
        """Runs one of the plugin's functions; raises PluginError if it has none of this name."""


class Cancellation:
    """The operator's interrupt, which ends every wait in the plugin."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ends all waits, now and from now on."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Has the operator interrupted?"""
        return self._event.is_set()

    def pause(self, seconds: float, doing: str) -> None:
        """Waits a while.

        Raises:
            CancelledError: as soon as the operator interrupts; it says what the wait was for.
        """
        if self._event.wait(seconds):
            raise CancelledError(doing)


class Deadline:
    """The time that an operation has."""

    def __init__(self, cancellation: Cancellation, seconds: float) -> None:
        self.seconds = seconds
        self._cancellation = cancellation
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Is the time up?"""
        return time.monotonic() > self._end

    def pause(self, seconds: float, doing: str) -> None:
        """Waits a while, not beyond the deadline by more than that; raises like `Cancellation.pause`."""
        self._cancellation.pause(seconds, doing)
