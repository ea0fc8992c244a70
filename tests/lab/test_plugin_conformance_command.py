"""What the program relies on in the command plugin."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command
import pytest

from tests.lab.conformance import ssh_server
from tests.lab.conformance.ssh_server import SshServer
from tests.lab.conformance.stacks import RunFailed, Stack

pytest_plugins = ["tests.lab.conformance.fixtures"]

pytestmark = pytest.mark.lab

Program = Callable[[], None]

# Its types allow a dictionary only if it is one of theirs.
command: Any = pulumi_command


def local(**arguments: Any) -> Program:
    """A program of one command on this machine."""

    def run() -> None:
        made = command.local.Command("command", **arguments)
        pulumi.export("stdout", made.stdout)
        pulumi.export("stderr", made.stderr)

    return run


def nothing() -> None:
    """A program without resources."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file that the commands write to."""
    return tmp_path / "log"


@pytest.fixture
def stack(only_stack: Stack) -> Iterator[Stack]:
    """An empty stack; what commands leave behind lies in the tests' own folders, so it is not destroyed."""
    yield only_stack
    only_stack.forget()


def lines(log: Path) -> list[str]:
    """What the commands have written."""
    return log.read_text().splitlines() if log.exists() else []


# When commands run


def test_nothing_runs_in_a_preview(stack: Stack, log: Path) -> None:
    assert stack.preview(local(create=f"echo ran >> {log}")).operations == {"command": ["create"]}
    assert lines(log) == []


def test_commands_run_when_the_resource_is_made_changed_and_removed(stack: Stack, log: Path) -> None:
    def program(version: str) -> Program:
        return local(
            create=f"echo create $VERSION >> {log}",
            update=f"echo update $VERSION >> {log}",
            delete=f"echo delete $VERSION >> {log}",
            environment={"VERSION": version},
        )

    stack.up(program("1"))
    assert stack.up(program("1")).operations == {}
    run = stack.up(program("2"))
    assert run.operations == {"command": ["update"]}
    assert run.changes("command") == {"environment.VERSION": "update"}
    stack.up(nothing)
    assert lines(log) == ["create 1", "update 2", "delete 2"]


def test_an_update_without_a_command_of_its_own_creates_again(stack: Stack, log: Path) -> None:
    stack.up(local(create=f"cat >> {log}", stdin="one\n"))
    assert stack.up(local(create=f"cat >> {log}", stdin="two\n")).operations == {"command": ["update"]}
    assert lines(log) == ["one", "two"]


def test_triggers_replace(stack: Stack, log: Path) -> None:
    def program(trigger: str) -> Program:
        return local(create=f"echo create >> {log}", delete=f"echo delete >> {log}", triggers=[trigger])

    stack.up(program("a"))
    run = stack.up(program("b"))
    assert run.operations["command"] == ["create-replacement", "replace", "delete-replaced"]
    assert lines(log) == ["create", "create", "delete"]


# What commands are given, and give


def test_output_is_captured_and_handed_to_the_next_run(stack: Stack, log: Path) -> None:
    create = "echo first; echo problem >&2"
    update = 'echo "before: $PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR"'
    assert stack.up(local(create=create, update=update)).outputs == {"stdout": "first", "stderr": "problem"}
    run = stack.up(local(create=create, update=update, environment={"A": "b"}))
    assert run.outputs["stdout"] == "before: first, problem"
    # In the preview of an update the last output stands.
    stack.preview(local(create=create, update=update, environment={"A": "c"}))

    silent = local(create=create, update=update, environment={"A": "d"}, add_previous_output_in_env=False)
    assert stack.up(silent).outputs["stdout"] == "before: , "


def test_interpreter_and_folder_are_the_programs_choice(stack: Stack, tmp_path: Path) -> None:
    program = local(
        create="import os; print(os.getcwd(), end='')", interpreter=["python3", "-c"], dir=str(tmp_path)
    )
    assert stack.up(program).outputs["stdout"] == str(tmp_path)


def test_files_that_a_command_makes_become_assets(stack: Stack, tmp_path: Path) -> None:
    def program() -> None:
        made = command.local.Command(
            "command",
            create="mkdir -p out/deep; echo a > out/a.txt; echo b > out/b.txt; echo c > out/deep/c.txt",
            dir=str(tmp_path),
            asset_paths=["out/*.txt", "!out/b.txt"],
            archive_paths=["out/**"],
        )
        pulumi.export("assets", made.assets.apply(sorted))
        pulumi.export("archive", made.archive.apply(lambda archive: sorted(archive.assets)))

    outputs = stack.up(program).outputs
    assert outputs["assets"] == ["out/a.txt"]
    assert outputs["archive"] == ["out/a.txt", "out/b.txt", "out/deep/c.txt"]


def test_a_function_runs_at_once_even_in_a_preview(stack: Stack, log: Path) -> None:
    def program() -> None:
        pulumi.export("stdout", command.local.run(command=f"echo ran >> {log}; echo answer").stdout)

    stack.preview(program)
    assert lines(log) == ["ran"]
    assert stack.up(program).outputs["stdout"] == "answer"


# Failures, secrets, messages


def test_a_command_that_fails_is_shown_with_its_output_and_not_recorded(stack: Stack) -> None:
    with pytest.raises(RunFailed, match=r"exit status 3") as failure:
        stack.up(local(create="echo to-the-output; echo to-the-errors >&2; exit 3"))
    assert "to-the-output" in str(failure.value)
    assert "to-the-errors" in str(failure.value)
    with pytest.raises(KeyError):
        stack.resource("command")


def test_a_failed_update_is_tried_again(stack: Stack, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    stack.up(local(create="true"))
    changed = local(create=f"test -e {flag}", environment={"A": "b"})
    with pytest.raises(RunFailed, match=r"exit status 1"):
        stack.up(changed)
    flag.touch()
    assert stack.up(changed).operations == {"command": ["update"]}


def test_what_a_command_makes_of_a_secret_is_secret(stack: Stack) -> None:
    def program() -> None:
        environment = {"PASSWORD": pulumi.Output.secret("very-secret")}
        local(create="echo made of $PASSWORD", environment=environment, logging="none")()

    run = stack.up(program)
    assert "very-secret" not in stack.state_file.read_text()
    assert "very-secret" not in run.output


def test_what_is_logged_is_the_programs_choice(stack: Stack) -> None:
    create = "echo on-stdout; echo on-stderr >&2"
    for logging, shown in {"none": [], "stdout": ["on-stdout"], "stderr": ["on-stderr"]}.items():
        run = stack.up(local(create=create, logging=logging, environment={"RUN": logging}))
        said = [text for text in ("on-stdout", "on-stderr") if text in run.messages]
        assert said == shown
    run = stack.up(local(create=create))
    assert {"on-stdout", "on-stderr"} <= set(run.messages)


def test_an_interrupt_ends_the_command_and_what_it_started(stack: Stack, tmp_path: Path) -> None:
    started, late = tmp_path / "started", tmp_path / "late"
    create = f"(sleep 6; touch {late}) & touch {started}; wait"
    began = time.monotonic()
    stack.interrupted_up(local(create=create), started.exists)
    assert time.monotonic() - began < 30
    time.sleep(max(0.0, 8 - (time.monotonic() - began)))
    assert not late.exists()


# Other hosts


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An SSH server."""
    with ssh_server.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def connection(host: SshServer, **changes: Any) -> dict[str, Any]:
    """How to connect to a host, with its key verified and its user's key; None leaves a field out."""
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": host.port,
        "user": host.user,
        "private_key": host.private_key,
        "host_key": host.host_key,
        "dial_error_limit": 0,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def remote(host: SshServer, changes: dict[str, Any] | None = None, **arguments: Any) -> Program:
    """A program of one command on another host."""

    def run() -> None:
        command.remote.Command("command", connection=connection(host, **(changes or {})), **arguments)

    return run


def test_commands_run_on_another_host(stack: Stack, host: SshServer, log: Path) -> None:
    def program(version: str) -> Program:
        return remote(
            host,
            create=f"echo create $GREETING >> {log}; cat >> {log}",
            update=f"echo update $GREETING, $PULUMI_COMMAND_STDOUT >> {log}",
            delete=f"echo delete $GREETING >> {log}",
            environment={"GREETING": version},
            stdin="from stdin\n",
        )

    assert stack.preview(program("1")).operations == {"command": ["create"]}
    stack.up(program("1"))
    assert stack.up(program("1")).operations == {}
    assert stack.up(program("2")).operations == {"command": ["update"]}
    stack.up(nothing)
    assert lines(log) == ["create 1", "from stdin", "update 2,", "delete 2"]
    replaced = [remote(host, create="true", triggers=[trigger]) for trigger in "ab"]
    stack.up(replaced[0])
    assert "replace" in stack.up(replaced[1]).operations["command"]


def test_a_remote_command_that_fails_is_shown_with_its_output(stack: Stack, host: SshServer) -> None:
    with pytest.raises(RunFailed, match=r"status 3") as failure:
        stack.up(remote(host, create="echo to-the-output; echo to-the-errors >&2; exit 3"))
    assert "to-the-output" in str(failure.value)
    assert "to-the-errors" in str(failure.value)


def test_keys_stay_out_of_the_state(stack: Stack, host: SshServer) -> None:
    stack.up(remote(host, create="echo done"))
    secret_line = host.private_key.splitlines()[2]
    assert secret_line not in stack.state_file.read_text()


def test_a_host_with_another_key_is_refused(stack: Stack, host: SshServer, log: Path) -> None:
    with pytest.raises(RunFailed, match=r"host key|key mismatch|mismatch"):
        stack.up(remote(host, {"host_key": host.other_key}, create=f"echo ran >> {log}"))
    assert lines(log) == []


def test_a_host_is_believed_if_no_key_is_given(stack: Stack, host: SshServer) -> None:
    stack.up(remote(host, {"host_key": None}, create="true"))


def test_an_encrypted_key_is_opened_by_its_password(stack: Stack, host: SshServer) -> None:
    opened = {"private_key": host.encrypted_key, "private_key_password": "open sesame"}
    stack.up(remote(host, opened, create="true"))
    wrong = {"private_key": host.encrypted_key, "private_key_password": "wrong"}
    with pytest.raises(RunFailed):
        stack.up(remote(host, wrong, create="true", environment={"A": "b"}))


def test_an_agent_can_sign_in(stack: Stack, host: SshServer, tmp_path: Path) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.05)
        add = ["ssh-add", "-q", str(host.private_key_file)]
        subprocess.run(add, env={"SSH_AUTH_SOCK": str(socket), "PATH": "/usr/bin"}, check=True)
        signed_in = {"private_key": None, "agent_socket_path": str(socket)}
        stack.up(remote(host, signed_in, create="true"))
    finally:
        agent.terminate()
        agent.wait(10)


def test_a_bastion_leads_to_a_host(stack: Stack, host: SshServer, tmp_path: Path, log: Path) -> None:
    with ssh_server.running(tmp_path / "inner") as inner:
        proxy = connection(host)
        stack.up(remote(inner, {"proxy": proxy}, create=f"echo $SSH_CONNECTION > {log}"))
        assert lines(log)[0].split()[3] == str(inner.port)
        with pytest.raises(RunFailed):
            wrong = {"proxy": connection(host, host_key=host.other_key)}
            stack.up(remote(inner, wrong, create=f"echo again > {log}"))


def test_a_host_that_comes_late_is_dialed_again(stack: Stack, tmp_path: Path) -> None:
    late = ssh_server.Sshd(tmp_path / "late")
    with pytest.raises(RunFailed, match=r"after \d+ failed attempts"):
        stack.up(remote(late.server, {"dial_error_limit": 1}, create="true"))
    starter = threading.Timer(4, late.start)
    starter.start()
    try:
        stack.up(remote(late.server, {"dial_error_limit": -1}, create="true"))
    finally:
        starter.join()
        late.stop()


# Copies


def copy(host: SshServer, source: Any, place: Path, **arguments: Any) -> Program:
    """A program of one copy on another host."""

    def run() -> None:
        command.remote.CopyToRemote(
            "copy", connection=connection(host), source=source, remote_path=str(place), **arguments
        )

    return run


def test_a_file_is_copied_and_copied_again_when_it_changes(
    stack: Stack, host: SshServer, tmp_path: Path
) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    source.write_text("one")
    program = copy(host, pulumi.FileAsset(str(source)), place)
    assert stack.preview(program).operations == {"copy": ["create"]}
    assert not place.exists()
    stack.up(program)
    assert place.read_text() == "one"
    assert stack.up(program).operations == {}
    source.write_text("two")
    assert stack.up(program).operations == {"copy": ["update"]}
    assert place.read_text() == "two"
    triggered = copy(host, pulumi.FileAsset(str(source)), place, triggers=["a"])
    assert "replace" in stack.up(triggered).operations["copy"]
    stack.up(nothing)
    assert place.exists()


def test_a_folder_is_copied_whole(stack: Stack, host: SshServer, tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_text("content")
    place.mkdir()
    stack.up(copy(host, pulumi.FileArchive(str(source)), place))
    assert (place / "source" / "deep" / "file").read_text() == "content"
    stack.empty()
    shutil.rmtree(place)
    stack.up(copy(host, pulumi.FileArchive(f"{source}/"), place))
    assert (place / "deep" / "file").read_text() == "content"


def test_a_copy_to_a_folder_that_is_not_there_fails(stack: Stack, host: SshServer, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    with pytest.raises(RunFailed):
        stack.up(copy(host, pulumi.FileAsset(str(source)), tmp_path / "missing" / "place"))


def test_an_interrupt_ends_a_transfer(stack: Stack, host: SshServer, tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    size = 600 * 2**20
    with source.open("wb") as file:
        file.truncate(size)
    program = copy(host, pulumi.FileAsset(str(source)), place)
    stack.interrupted_up(program, lambda: place.exists() and place.stat().st_size > 0)
    assert place.stat().st_size < size
    place.unlink()
