"""``remote.Command``: commands on other hosts."""

from __future__ import annotations

from collections.abc import Sequence

from lab.plugins.command.common import Commands, environment, failure, logger, without_last_newline
from lab.plugins.command.ssh import Dialer, target
from lab.plugins.engine import Engine
from lab.plugins.provider import Cancellation, Problem, Resource
from lab.plugins.values import UNKNOWN, Properties, reveal


class RemoteCommands(Commands):
    """Commands on other hosts."""

    def __init__(self, engine: Engine, cancellation: Cancellation) -> None:
        self._engine = engine
        self._cancellation = cancellation

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """Fills in the published default and refuses a connection to nowhere."""
        return {"addPreviousOutputInEnv": True, **resource.inputs}, connection_problems(resource.inputs)

    def run(self, command: str, inputs: Properties, before: Properties, urn: str) -> Properties:
        """Runs a command in the login shell of the connection's user."""
        plain = reveal(inputs)
        dialer = Dialer(self._cancellation, lambda text: self._engine.status(text, urn))
        with dialer.connected(target(plain["connection"])) as transport:
            finished = dialer.run(
                transport,
                command,
                environment=environment(plain, before),
                stdin=str(plain.get("stdin") or ""),
                line=logger(plain, self._engine, urn),
            )
        if finished.code != 0:
            ended = f"Process exited with status {finished.code}"
            raise failure(ended, command, inputs, finished.both)
        return {
            "stdout": without_last_newline(finished.stdout),
            "stderr": without_last_newline(finished.stderr),
        }


def connection_problems(inputs: Properties) -> Sequence[Problem]:
    """What is wrong with the inputs' connection."""
    connection = reveal(inputs.get("connection"))
    if connection is UNKNOWN or (isinstance(connection, dict) and connection.get("host")):
        return []
    return [Problem(property="connection.host", reason="must name the host to connect to")]
