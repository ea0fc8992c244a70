"""The real JupyterHub with its real proxy and its real idle culler, which starts the real JupyterLab."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests
from playwright.sync_api import BrowserContext, Page

from lab.ports import HOST
from tests.free_ports import free_ports
from tests.image import desktop_page
from tests.image.running_lab import environment
from tests.image.waiting import until
from tests.lab import hub_proxy

CULL_SECONDS = 60
"""Stands for the hour that the chart's culler waits; its default rule is nothing but that time."""
PAUSE_MINUTES = "0.1"
BEHIND = """() => {
    Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
    Object.defineProperty(document, 'hidden', { get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""
"""Tells a page what a browser tells one that another tab covers. Without a screen, Chromium covers none."""
CONFIGURATION = """\
import json
import sys
from pathlib import Path

here = json.loads(Path("here.json").read_text())
c.JupyterHub.bind_url = here["url"]
c.JupyterHub.hub_bind_url = here["hub_url"]
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.ConfigurableHTTPProxy.api_url = here["proxy_url"]
c.ConfigurableHTTPProxy.command = here["proxy_command"]
c.ConfigurableHTTPProxy.auth_token = here["proxy_token"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.DummyAuthenticator.password = here["password"]
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = here["homes"] + "/{username}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = c.Spawner.start_timeout = 150
c.Spawner.environment = here["environment"]
# How often the hub asks the proxy; servers report themselves as often.
c.JupyterHub.last_activity_interval = 5
c.JupyterHub.services = [
    {
        "name": "cull-idle",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", *here["culler"]],
    },
    {"name": "tests", "api_token": here["token"]},
]
c.JupyterHub.load_roles = [
    # As the chart gives it to its culler.
    {
        "name": "cull-idle",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["cull-idle"],
    },
    {"name": "tests", "scopes": ["admin:users", "admin:servers"], "services": ["tests"]},
]
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DesktopHub:
    """A hub.

    Attributes:
        url: where its proxy answers.
        log_file: what it and its servers say.
        password: every user's.
        token: of a service that may ask for everything.
    """

    url: str
    log_file: Path
    password: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)

    def environment_of_desktop(self, user: str) -> dict[str, str]:
        """The environment of the programs of a user's desktop."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                found = process.environ() if process.name() == "x11vnc" else {}
                if found.get("HOME") == str(self.log_file.parent / "homes" / user):
                    return found
        raise AssertionError(f"{user} has no desktop:\n{self.log[-3000:]}")

    @property
    def log(self) -> str:
        """What it and its servers have said."""
        return self.log_file.read_text(errors="replace")

    def server(self, user: str) -> dict[str, object] | None:
        """What the hub knows of a user's server; None if there is none."""
        headers = {"Authorization": f"token {self.token}"}
        answer = requests.get(f"{self.url}/hub/api/users/{user}", headers=headers, timeout=90)
        answer.raise_for_status()
        found: dict[str, object] | None = answer.json()["servers"].get("")
        return found

    def open_desktop(self, context: BrowserContext, user: str) -> Page:
        """Signs in, waits for the server, clicks the card, and leaves its tab behind the desktop's."""
        page = context.new_page()
        page.set_default_timeout(desktop_page.PATIENCE_MS)
        page.goto(f"{self.url}/hub/login?next=/hub/spawn")
        page.fill("#username_input", user)
        page.fill("#password_input", self.password)
        page.click("#login_submit")
        desktop_page.card(page)
        tab = desktop_page.click_card(page)
        page.evaluate(BEHIND)
        desktop_page.wait_for_desktop(tab)
        return tab


@contextlib.contextmanager
def desktop_hub(folder: Path, site: Path) -> Iterator[DesktopHub]:
    """A hub for the length of the block, with the package in its users' servers.

    Args:
        folder: an empty folder for it.
        site: where the package is installed.
    """
    ports = free_ports(3)
    url, hub_url, proxy_url = (f"http://{HOST}:{port}" for port in ports)
    password, token = secrets.token_hex(16), secrets.token_hex(16)
    of_the_servers = {
        name: text for name, text in environment(site, folder).items() if name in ("PATH", "PYTHONPATH")
    }
    here = {
        "url": url,
        "hub_url": hub_url,
        "proxy_url": proxy_url,
        "proxy_command": hub_proxy.command(),
        "proxy_token": secrets.token_hex(16),
        "password": password,
        "token": token,
        "homes": str(folder / "homes"),
        "culler": [f"--timeout={CULL_SECONDS}", "--cull-every=5"],
        "environment": {
            **of_the_servers,
            "VIRTUAL_DESKTOP_PAUSE_MINUTES": PAUSE_MINUTES,
            "JUPYTERHUB_ACTIVITY_INTERVAL": "5",
        },
    }
    (folder / "homes").mkdir()
    (folder / "here.json").write_text(json.dumps(here))
    (folder / "here.json").chmod(0o600)
    (folder / "jupyterhub_config.py").write_text(CONFIGURATION)
    log_file = folder / "hub.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config=jupyterhub_config.py"],
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    hub = DesktopHub(url=url, log_file=log_file, password=password, token=token)

    def answers() -> bool:
        assert process.poll() is None, f"the hub has ended:\n{log_file.read_text()[-4000:]}"
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/hub/health", timeout=30).ok
        return False

    try:
        until(answers, f"the hub answers at {url}")
        yield hub
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    _, left = psutil.wait_procs(below, timeout=30)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
