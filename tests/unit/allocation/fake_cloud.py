"""A cloud on loopback: what the allocation asks of Keystone, the accounting service and Nova."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

PASSWORD = "a-password-that-nobody-may-see"
APPLICATION_SECRET = "an-application-secret-that-nobody-may-see"
TOKEN_MARK = "token-that-nobody-may-see"
REGION = "RegionOne"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a service says once.

    Attributes:
        trickle_s: seconds between the bytes of the body; 0 sends it at once.
        delay_s: seconds before anything is sent.
    """

    status: int = 200
    body: bytes = b"[]"
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0
    trickle_s: float = 0


def record(**changes: Any) -> dict[str, Any]:
    """A record as the accounting service sends it, with all its keys. Ellipsis leaves one out."""
    full = {
        "description": "TG-ATM000001",
        "abstract": "Radar meteorology for classes",
        "service_units_allocated": 100000.0,
        "service_units_used": 1234.5,
        "start_date": "2026-01-01",
        "end_date": "2026-12-31",
        "resource": "jetstream2.indiana.xsede.org",
        "active": 1,
    } | changes
    return {key: value for key, value in full.items() if value is not ...}


class FakeCloud:
    """The cloud's state, which tests change, and what it was asked.

    Attributes:
        url: where it listens.
        accounting: its answers one after the other, the last one for ever.
        keystone: statuses of the next requests for a token; when there are none left, it works.
        types: services in the catalog.
        servers: what Nova has; ``page`` of them at a time.
        expires_at: until when a token that is issued now is valid.
        issued: every token so far.
        refused: tokens that the accounting service does not take.
        asked: method and path of every request.
        shown: tokens shown to the accounting service.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.accounting = [Answer(body=json.dumps([record()]).encode())]
        self.keystone: list[int] = []
        self.compute: list[int] = []
        self.types = ["identity", "accounting", "compute"]
        self.servers: list[dict[str, Any]] = []
        self.page = 1000
        self.expires_at = "2099-01-01T00:00:00.000000Z"
        self.issued: list[str] = []
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self.shown: list[str | None] = []

    def says(self, *records: dict[str, Any]) -> None:
        self.accounting = [Answer(body=json.dumps(list(records)).encode())]

    def addresses(self) -> dict[str, str]:
        return {
            "identity": f"{self.url}/v3",
            "accounting": self.url,
            "compute": f"{self.url}/compute/v2.1",
        }

    def clouds_yaml(self, directory: Path) -> Path:
        """Writes a file with the entries ``gateway`` (password) and ``robot`` (application credential)."""
        path = directory / "clouds.yaml"
        password = {
            "username": "operator",
            "password": PASSWORD,
            "project_name": "gateway",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        application = {
            "application_credential_id": "robot",
            "application_credential_secret": APPLICATION_SECRET,
        }
        address = {"auth_url": f"{self.url}/v3"}
        gateway = {"auth": address | password, "region_name": REGION}
        robot = {"auth": address | application, "auth_type": "v3applicationcredential", "region_name": REGION}
        path.write_text(yaml.safe_dump({"clouds": {"gateway": gateway, "robot": robot}}))
        return path


@contextmanager
def running() -> Iterator[FakeCloud]:
    """A cloud that listens until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    cloud = _Handler.clouds[server.server_address[1]] = FakeCloud(
        f"http://127.0.0.1:{server.server_address[1]}"
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    clouds: dict[int, FakeCloud] = {}  # noqa: RUF012 (shared on purpose: one of them by port)
    protocol_version = "HTTP/1.1"

    @property
    def cloud(self) -> FakeCloud:
        return self.clouds[self.server.server_address[1]]  # type: ignore[index]

    def do_POST(self) -> None:
        self.cloud.asked.append(f"POST {self.path}")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v3/auth/tokens":
            self._send(Answer(status=404))
        elif self.cloud.keystone:
            self._send(Answer(status=self.cloud.keystone.pop(0), body=b"{}"))
        elif not _is_right(asked["auth"]["identity"]):
            self._send(Answer(status=401, body=b"{}"))
        else:
            self._issue()

    def do_GET(self) -> None:
        self.cloud.asked.append(f"GET {self.path}")
        parts = urlsplit(self.path)
        if parts.path.rstrip("/") == "/v3":
            self._json({"version": {"id": "v3.14", "status": "stable", "links": [self._link("/v3/")]}})
        elif parts.path == "/compute/v2.1/servers/detail":
            self._servers(parse_qs(parts.query))
        elif parts.path == "/":
            self._account()
        else:
            self._send(Answer(status=404))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Says nothing."""

    def _link(self, path: str) -> dict[str, str]:
        return {"rel": "self", "href": f"{self.cloud.url}{path}"}

    def _issue(self) -> None:
        token = f"{TOKEN_MARK}-{len(self.cloud.issued)}"
        self.cloud.issued.append(token)
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {"interface": "public", "region": REGION, "region_id": REGION, "id": kind, "url": address}
                ],
            }
            for kind, address in self.cloud.addresses().items()
            if kind in self.cloud.types
        ]
        issued = {
            "methods": ["password"],
            "expires_at": self.cloud.expires_at,
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "operator", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "gateway", "domain": {"id": "default", "name": "Default"}},
            "catalog": catalog,
        }
        body = json.dumps({"token": issued}).encode()
        self._send(Answer(status=201, body=body, headers=(("X-Subject-Token", token),)))

    def _account(self) -> None:
        token = self.headers.get("X-Auth-Token")
        self.cloud.shown.append(token)
        if token not in self.cloud.issued or token in self.cloud.refused:
            self._send(Answer(status=401, body=b'{"error": "token"}'))
            return
        answers = self.cloud.accounting
        self._send(answers.pop(0) if len(answers) > 1 else answers[0])

    def _servers(self, query: dict[str, list[str]]) -> None:
        if self.cloud.compute:
            self._send(Answer(status=self.cloud.compute.pop(0), body=b"{}"))
            return
        if self.headers.get("X-Auth-Token") not in self.cloud.issued:
            self._send(Answer(status=401, body=b"{}"))
            return
        servers = self.cloud.servers
        if "marker" in query:
            after = query["marker"][0]
            servers = list(itertools.dropwhile(lambda server: server["id"] != after, servers))[1:]
        page = servers[: min(self.cloud.page, int(query.get("limit", ["1000"])[0]))]
        if self.headers.get("OpenStack-API-Version") != "compute 2.47":
            page = [server | {"flavor": {"id": "4"}} for server in page]
        more = {"servers_links": [self._link("/next") | {"rel": "next"}]} if len(page) < len(servers) else {}
        self._json({"servers": page} | more)

    def _json(self, value: Any) -> None:
        self._send(Answer(body=json.dumps(value).encode(), headers=(("Content-Type", "application/json"),)))

    def _send(self, answer: Answer) -> None:
        time.sleep(answer.delay_s)
        try:
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            if not answer.trickle_s:
                self.wfile.write(answer.body)
                return
            for byte in answer.body:
                self.wfile.write(bytes([byte]))
                time.sleep(answer.trickle_s)
        except OSError:  # the other side had enough
            self.close_connection = True


def _is_right(identity: dict[str, Any]) -> bool:
    if "application_credential" in identity:
        return bool(identity["application_credential"]["secret"] == APPLICATION_SECRET)
    return bool(identity["password"]["user"]["password"] == PASSWORD)
