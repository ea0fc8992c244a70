"""The real JupyterHub and its real proxy on loopback, configured by the program's values as by the chart."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests

from lab import paths
from lab.ports import HOST
from tests.free_ports import free_ports
from tests.lab import hub_proxy

START_SECONDS = 40
TOKEN_VARIABLE = "HUB_TEST_TOKEN"

CONFIGURATION = """\
import json
import os
from pathlib import Path

from tests.lab.chart_config import extra_config, hub_config

values = json.loads(Path("values.json").read_text())
here = json.loads(Path("here.json").read_text())
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
for name, traits in hub_config(values).items():
    c[name].update(traits)
for text in extra_config(values):
    exec(text)

# What the chart's pods and services are elsewhere.
c.JupyterHub.bind_url = here["url"]
c.JupyterHub.hub_bind_url = here["hub_url"]
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.ConfigurableHTTPProxy.api_url = here["proxy_url"]
c.ConfigurableHTTPProxy.command = here["proxy_command"]
c.JupyterHub.services = [{"name": "tests", "api_token": os.environ["HUB_TEST_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "tests", "scopes": ["admin:users", "admin:servers", "read:hub"], "services": ["tests"]}
]
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningHub:
    """A hub.

    Attributes:
        url: where its proxy answers.
        folder: its folder.
        process: the hub itself, whose child the proxy is.
        token: of a service that may ask for everything.
    """

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    token: str = dataclasses.field(repr=False)

    @property
    def log(self) -> str:
        """What hub and proxy have written."""
        return (self.folder / "hub.log").read_text()

    @property
    def is_alive(self) -> bool:
        """Does its process run, and does it answer?"""
        return self.process.poll() is None and self.api("GET", "/info").ok

    def api(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One request to its API."""
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, f"{self.url}/hub/api{path}", json=body, headers=headers, timeout=30)


def with_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with keys of the length that the hub wants, in the place of a test's own short ones."""
    hub = values["hub"]
    config = {**hub["config"], "CryptKeeper": {"keys": [secrets.token_hex(32)]}}
    return {**values, "hub": {**hub, "cookieSecret": secrets.token_hex(32), "config": config}}


@contextlib.contextmanager
def running(
    folder: Path,
    values: Mapping[str, Any],
    *,
    more: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningHub]:
    """A hub for the length of the block.

    Args:
        folder: an empty folder for it.
        values: the chart's values.
        more: lines of configuration for what is not as in a cluster.
        environment: variables for the hub, on top of this process's own.
    """
    ports = free_ports(3)
    url, hub_url, proxy_url = (f"http://{HOST}:{port}" for port in ports)
    here = {"url": url, "hub_url": hub_url, "proxy_url": proxy_url, "proxy_command": hub_proxy.command()}
    (folder / "values.json").write_text(json.dumps(with_keys(values)))
    (folder / "here.json").write_text(json.dumps(here))
    (folder / "jupyterhub_config.py").write_text(f"{CONFIGURATION}{more}")
    token = secrets.token_hex(16)
    variables = {
        **os.environ,
        **(environment or {}),
        "PYTHONPATH": str(paths.PROGRAM),
        TOKEN_VARIABLE: token,
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
    }
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config=jupyterhub_config.py"],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    hub = RunningHub(url=url, folder=folder, process=process, token=token)
    try:
        _wait_until_it_answers(hub)
        yield hub
    finally:
        _stop(hub)


def _wait_until_it_answers(hub: RunningHub) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if hub.is_alive:
                return
        assert hub.process.poll() is None, f"the hub has ended:\n{hub.log[-4000:]}"
        assert time.monotonic() < deadline, f"the hub does not answer:\n{hub.log[-4000:]}"
        time.sleep(0.2)


def _stop(hub: RunningHub) -> None:
    """Ends the hub, which ends its proxy; a proxy that outlived its hub is ended by the hub's note of it."""
    hub.process.terminate()
    try:
        hub.process.wait(20)
    except subprocess.TimeoutExpired:
        hub.process.kill()
        hub.process.wait(5)
    note = hub.folder / "jupyterhub-proxy.pid"
    if note.exists():
        with contextlib.suppress(psutil.NoSuchProcess):
            proxy = psutil.Process(int(note.read_text()))
            # By now the number may be somebody else's.
            if f"--port {urlsplit(hub.url).port} " in " ".join(proxy.cmdline()):
                proxy.terminate()
                proxy.wait(10)
