"""The command plugin as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from lab.plugins.children import Children
from lab.plugins.command.copy import Copies
from lab.plugins.command.local import LocalCommands
from lab.plugins.command.remote import RemoteCommands
from lab.plugins.engine import Engine
from lab.plugins.provider import Cancellation, Difference, Kind, PluginError, Problem
from lab.plugins.values import Properties

VERSION = "1.2.1"
"""The published plugin whose place this one takes."""


class Command:
    """The provider; it has no settings of its own."""

    version = VERSION

    def __init__(self, engine: Engine, cancellation: Cancellation, children: Children) -> None:
        self._local = LocalCommands(engine, children)
        self._kinds: dict[str, Kind] = {
            "command:local:Command": self._local,
            "command:remote:Command": RemoteCommands(engine, cancellation),
            "command:remote:CopyToRemote": Copies(engine, cancellation),
        }

    def check_config(self, given: Properties) -> Sequence[Problem]:
        """Refuses all settings."""
        return [
            Problem(property=name, reason=f"{name!r} is no setting of the command provider")
            for name in sorted(set(given) - {"version", "pluginDownloadURL"})
        ]

    def diff_config(self, _old: Properties, _new: Properties) -> Difference:
        """Nothing can change."""
        return Difference()

    def configure(self, given: Properties) -> None:
        """Nothing to take."""

    def kind(self, resource_type: str) -> Kind:
        """The kind of command; raises PluginError for one that is not offered."""
        try:
            return self._kinds[resource_type]
        except KeyError:
            raise PluginError(
                f"{resource_type} is not offered by the lab's own command plugin, which has "
                "local.Command, remote.Command and remote.CopyToRemote"
            ) from None

    def invoke(self, function: str, arguments: Properties) -> Properties:
        """``local.run``."""
        if function != "command:local:run":
            raise PluginError(f"{function} is not offered by the lab's own command plugin")
        return self._local.invoke(arguments)
