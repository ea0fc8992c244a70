"""Who may not see a desktop does not: at its sockets, at its X server, at the proxy, from another address."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from playwright.sync_api import BrowserContext

from lab.ports import HOST
from tests.image import desktop_page, rfb
from tests.image.running_lab import RunningLab, each_says, everybodys_python
from tests.image.waiting import until

PATH = "/virtual-desktop"
OWN = {"X-Virtual-Desktop": "1"}
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CHANGED = 101
SIZE = {"width": 800, "height": 600}


@pytest.fixture(scope="module")
def desktop(lab: RunningLab) -> RunningLab:
    """A JupyterLab with a desktop that runs."""
    until(lambda: session(lab).status_code == 200, "the session begins")
    return lab


def session(lab: RunningLab, **headers: str) -> requests.Response:
    """Begins a session as the page does."""
    allowed = {"Authorization": f"token {lab.token}", **OWN, **headers}
    return requests.post(f"{lab.url}{PATH}/session", json=SIZE, headers=allowed, timeout=150)


def websocket(lab: RunningLab, path: str, **headers: str) -> int:
    """The status of an attempt at a websocket through the proxy."""
    with requests.get(
        f"{lab.url}{PATH}/{path}", headers={**UPGRADE, **headers}, timeout=90, stream=True
    ) as answer:
        return answer.status_code


def ticket(lab: RunningLab) -> str:
    """The cookie that a session gives."""
    (cookie,) = [cookie for cookie in session(lab).cookies if cookie.name.startswith("virtual-desktop-")]
    return f"{cookie.name}={cookie.value}"


def test_no_program_listens_on_a_network_address(desktop: RunningLab) -> None:
    assert [each for each in each_says(desktop.family(), at_the_network) if each[1]] == []
    assert desktop.program("x11vnc") and desktop.program("websockify"), "what was looked at does run"


def at_the_network(process: psutil.Process) -> tuple[str, list[object]]:
    """A program's name and its addresses."""
    return process.name(), [connection.laddr for connection in process.net_connections(kind="inet")]


@pytest.mark.parametrize("socket_name", ["vnc", "websocket", "door"])
def test_another_user_of_the_machine_cannot_reach_a_socket(desktop: RunningLab, socket_name: str) -> None:
    path = desktop.folder() / socket_name
    assert path.is_socket()
    said = as_nobody(f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})")
    assert "PermissionError" in said


def test_another_user_of_the_machine_cannot_use_the_x_server(desktop: RunningLab) -> None:
    said = as_nobody(f"from Xlib.display import Display; Display({desktop.display()!r})")
    assert "no protocol specified" in said.lower() or "authorization required" in said.lower()


def as_nobody(code: str) -> str:
    """What Python says to nobody's program; the program must fail."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    variables = {"PYTHONPATH": ""}
    command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", everybodys_python(variables)]
    done = subprocess.run(
        [*command, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env={"PATH": os.defpath, "PYTHONPATH": variables["PYTHONPATH"].strip(":")},
    )
    assert done.returncode != 0, "it was let in"
    return done.stderr


def test_the_vnc_server_wants_the_sessions_password(desktop: RunningLab) -> None:
    path, password = desktop.folder() / "vnc", (desktop.folder() / "password").read_text().strip()
    assert rfb.kinds_of_security(path) == [rfb.PASSWORD], "it can be entered without"
    assert not rfb.is_let_in(path, "wrong" + password[:3])
    assert not rfb.is_let_in(path, "")
    assert rfb.is_let_in(path, password)


def test_the_proxy_wants_a_login(desktop: RunningLab) -> None:
    assert requests.get(f"{desktop.url}{PATH}/", timeout=90, allow_redirects=False).status_code in (302, 403)
    answer = requests.post(
        f"{desktop.url}{PATH}/session", json=SIZE, headers=OWN, timeout=90, allow_redirects=False
    )
    assert answer.status_code in (302, 403)
    # Not even with the ticket.
    assert websocket(desktop, "websockify", Cookie=ticket(desktop)) == 403


@pytest.mark.parametrize("path", ["websockify", "clipboard"])
def test_the_proxy_wants_the_sessions_ticket_beside_the_login(desktop: RunningLab, path: str) -> None:
    """jupyter-server-proxy has said yes to the browser before it asks; then it closes without a byte."""
    login = {"Authorization": f"token {desktop.token}"}
    right = ticket(desktop)
    assert first_bytes(desktop, path, **login) == b""
    assert first_bytes(desktop, path, **login, Cookie=f"{right[:-2]}xx") == b""
    if path == "websockify":
        assert b"RFB 003.008" in first_bytes(desktop, path, **login, Cookie=right)


def first_bytes(lab: RunningLab, path: str, **headers: str) -> bytes:
    """What comes through a websocket first; nothing if it is closed at once."""
    port = int(lab.url.rpartition(":")[2])
    lines = [f"GET {PATH}/{path} HTTP/1.1", f"Host: {HOST}:{port}"]
    lines += [f"{name}: {text}" for name, text in {**UPGRADE, **headers}.items()]
    with socket.create_connection((HOST, port), timeout=90) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(65536)
            if not more:
                return b""
            answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 101 " not in head.splitlines()[0]:
            return b""
        body += b"" if body else connection.recv(65536)
    # A close frame (RFC 6455, 5.5.1) is no answer.
    return b"" if body[:1] == b"\x88" else body


def test_a_page_of_another_site_cannot_ask_for_the_secrets(desktop: RunningLab) -> None:
    allowed = {"Authorization": f"token {desktop.token}"}
    answer = requests.post(f"{desktop.url}{PATH}/session", json=SIZE, headers=allowed, timeout=90)
    assert answer.status_code == 403
    assert "password" not in answer.text
    asked = requests.options(f"{desktop.url}{PATH}/session", headers=allowed, timeout=90)
    assert "Access-Control-Allow-Headers" not in asked.headers


def test_the_secrets_are_in_no_command_line_and_in_no_log(desktop: RunningLab) -> None:
    secrets = [(desktop.folder() / "password").read_text().strip(), ticket(desktop).partition("=")[2]]
    cookie = (desktop.folder() / "Xauthority").read_bytes()[-16:].hex()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            assert not [secret for secret in [*secrets, cookie] if secret in command]
    assert not [secret for secret in [*secrets, cookie] if secret in desktop.log]


def test_the_files_are_the_users_alone(desktop: RunningLab) -> None:
    folder = desktop.folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("password", "Xauthority", "door"):
        assert (folder / name).stat().st_mode & 0o077 == 0


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, str]]:
    """A network namespace with an address of its own, and this machine's address as seen from there."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace")
    name, ours, theirs = f"desk{os.getpid()}", "198.18.97.1", "198.18.97.2"
    here, there = f"vd{os.getpid()}a", f"vd{os.getpid()}b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        ip("addr", "add", f"{ours}/30", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", name, "addr", "add", f"{theirs}/30", "dev", there)
        ip("-n", name, "link", "set", there, "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name, ours
    finally:
        ip("netns", "delete", name)


def test_a_client_on_another_address_is_refused(desktop: RunningLab, elsewhere: tuple[str, str]) -> None:
    namespace, address = elsewhere
    proxy = int(desktop.url.rpartition(":")[2])
    with socket.create_server((address, 0)) as open_to_all:
        reached = open_to_all.getsockname()[1]
        ports = [reached, proxy, *range(5900, 5911), *range(6000, 6011), 6080]
        code = (
            "import socket\n"
            f"for port in {ports}:\n"
            "    try:\n"
            f"        socket.create_connection(({address!r}, port), timeout=30).close(); print(port)\n"
            "    except ConnectionRefusedError: pass\n"
        )
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=150,
        )
    assert done.stdout.split() == [str(reached)], "only what listens for all may be reached"
    abstract = (
        f"import socket; socket.socket(socket.AF_UNIX).connect('\\0/tmp/.X11-unix/X{desktop.display()[1:]}')"
    )
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", abstract],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert "ConnectionRefusedError" in done.stderr


def test_two_labs_in_one_browser_do_not_take_each_others_ticket(
    desktop: RunningLab, site: Path, context: BrowserContext
) -> None:
    from tests.image.running_lab import running_lab

    with running_lab(site) as other:
        tabs = [desktop_page.click_card(desktop_page.log_in(context, lab)) for lab in (desktop, other)]
        for tab in tabs:
            desktop_page.wait_for_desktop(tab)
        assert desktop.display() != other.display()
