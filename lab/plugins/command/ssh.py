"""SSH connections: keys, passwords and agents, verified host keys, and a way through a bastion."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import functools
import io
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import paramiko
from paramiko.agent import AgentSSH

from lab.plugins.output import Finished, Output, Stream
from lab.plugins.provider import Cancellation, PluginError

# Failed attempts are reported by us, in a sentence each, not by the library with a traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_GROWTH = 1.5
_POLL = 0.05


class _WrongHostKeyError(PluginError):
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A host and how to sign in there; the published plugin's names and defaults.

    Attributes:
        host_key: ``TYPE BASE64``, as in a known_hosts file; None: any host is believed.
        agent: path of an SSH agent's socket.
        dial_errors: failed attempts after which to give up; -1: never.
        dial_timeout: seconds for one attempt; 0: no limit.
    """

    host: str
    port: int
    user: str
    password: str | None
    private_key: str | None
    private_key_password: str | None
    host_key: str | None
    agent: str | None
    dial_errors: int
    dial_timeout: float
    proxy: Target | None


def target(connection: dict[str, Any]) -> Target:
    """The target that a connection's properties, revealed, describe."""
    limit, timeout = connection.get("dialErrorLimit"), connection.get("perDialTimeout")
    proxy = connection.get("proxy")
    return Target(
        host=str(connection["host"]),
        port=int(connection.get("port") or 22),
        user=str(connection.get("user") or "root"),
        password=connection.get("password"),
        private_key=connection.get("privateKey"),
        private_key_password=connection.get("privateKeyPassword"),
        host_key=connection.get("hostKey"),
        agent=connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or None,
        dial_errors=10 if limit is None else int(limit),
        dial_timeout=15.0 if timeout is None else float(timeout),
        proxy=target(proxy) if proxy else None,
    )


class Dialer:
    """Opens connections, again and again if need be: a host that was just created takes its time."""

    def __init__(self, cancellation: Cancellation, status: Callable[[str], None]) -> None:
        self._cancellation = cancellation
        self._status = status

    @contextlib.contextmanager
    def connected(self, to: Target) -> Iterator[paramiko.Transport]:
        """A connection that is signed in, for the length of the block.

        Raises:
            PluginError: if the host does not answer, is not the right one, or does not let us in.
            CancelledError: if the operator interrupts.
        """
        with contextlib.ExitStack() as stack:
            through = stack.enter_context(self.connected(to.proxy)) if to.proxy else None
            transport = self._persistently(to, through)
            stack.callback(transport.close)
            yield transport

    def run(
        self,
        transport: paramiko.Transport,
        command: str,
        *,
        environment: dict[str, str],
        stdin: str,
        line: Callable[[Stream, str], None],
    ) -> Finished:
        """Runs a command on the other host to its end.

        Args:
            environment: variables; a server takes only those that its AcceptEnv names.
            stdin: the command's standard input.
            line: called with each line of output as it comes.

        Raises:
            PluginError: if the connection breaks.
            CancelledError: if the operator interrupts.
        """
        try:
            channel = transport.open_session()
            for name, value in environment.items():
                channel.set_environment_variable(name, value)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise PluginError(f"the connection broke: {error}") from error
        threading.Thread(target=_send, args=(channel, stdin), daemon=True).start()
        output = Output(line)
        streams: list[tuple[Stream, Iterable[bytes]]] = [
            ("stdout", channel.makefile("rb")),
            ("stderr", channel.makefile_stderr("rb")),
        ]
        readers = [
            threading.Thread(target=output.read, args=(stream, _texts(source)), daemon=True)
            for stream, source in streams
        ]
        for reader in readers:
            reader.start()
        while any(reader.is_alive() for reader in readers) or not channel.exit_status_ready():
            try:
                self._cancellation.pause(_POLL, "running a command on another host")
            except PluginError:
                channel.close()
                raise
        return output.finished(channel.recv_exit_status())

    def _persistently(self, to: Target, through: paramiko.Transport | None) -> paramiko.Transport:
        failures, pause = 0, _FIRST_PAUSE
        while True:
            try:
                return _dial(to, through)
            except (OSError, EOFError, paramiko.SSHException) as error:
                failures += 1
                where = f"{to.user}@{to.host}:{to.port}"
                if 0 <= to.dial_errors < failures:
                    raise PluginError(f"{where}: after {failures} failed attempts: {error}") from error
                limit = "no limit" if to.dial_errors < 0 else str(to.dial_errors)
                self._status(f"dial {where} {failures}/{limit} failed: {error}; retrying")
            self._cancellation.pause(pause, f"dialing {to.host}")
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def parse_host_key(text: str) -> tuple[str, bytes]:
    """A host key's type and bytes from ``TYPE BASE64``; raises PluginError if that is not its form."""
    try:
        kind, encoded = text.split()[:2]
        return kind, base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise PluginError("host_key must be written as `TYPE BASE64`, as in a known_hosts file") from error


def parse_private_key(text: str, password: str | None) -> paramiko.PKey:
    """A private key of any of the kinds in use; raises PluginError, which never quotes it."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password)
        except paramiko.PasswordRequiredException as error:
            raise PluginError("private_key is encrypted; set private_key_password") from error
        except (paramiko.SSHException, ValueError):
            continue
    raise PluginError(
        "private_key cannot be used: it is no Ed25519, ECDSA or RSA key in OpenSSH's or PEM form, "
        "or private_key_password is wrong"
    )


def _dial(to: Target, through: paramiko.Transport | None) -> paramiko.Transport:
    timeout = to.dial_timeout or None
    link: socket.socket | paramiko.Channel
    if through is None:
        link = socket.create_connection((to.host, to.port), timeout=timeout)
    else:
        link = through.open_channel("direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=timeout)
    transport = paramiko.Transport(link)
    try:
        expected = parse_host_key(to.host_key) if to.host_key else None
        if expected:
            # Or the server would show a key of another kind than the one that is known.
            transport.get_security_options().key_types = _algorithms(expected[0])
        transport.start_client(timeout=timeout)
        if expected and transport.get_remote_server_key().asbytes() != expected[1]:
            raise _WrongHostKeyError(
                f"{to.host}:{to.port} shows another host key than `host_key` says; it may not be that host"
            )
        _sign_in(transport, to)
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(30)
    return transport


def _sign_in(transport: paramiko.Transport, to: Target) -> None:
    ways: list[Callable[[], object]] = []
    if to.private_key:
        key = parse_private_key(to.private_key, to.private_key_password)
        ways.append(functools.partial(transport.auth_publickey, to.user, key))
    if to.password is not None:
        ways.append(functools.partial(transport.auth_password, to.user, to.password))
    if to.agent:
        keys = _Agent(to.agent).get_keys()
        ways += [functools.partial(transport.auth_publickey, to.user, key) for key in keys]
    refusal: paramiko.SSHException = paramiko.AuthenticationException(
        "no way to sign in: set private_key, password or agent_socket_path"
    )
    for way in ways:
        try:
            way()
        except paramiko.AuthenticationException as error:
            refusal = error
        if transport.is_authenticated():
            return
    raise refusal


class _Agent(AgentSSH):
    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        self._connect(connection)  # type: ignore[attr-defined]


def _algorithms(kind: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _send(channel: paramiko.Channel, text: str) -> None:
    # A command need not read its input.
    with contextlib.suppress(OSError):
        channel.sendall(text.encode())
        channel.shutdown_write()


def _texts(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        yield line.decode(errors="replace")
