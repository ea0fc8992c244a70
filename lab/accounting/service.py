"""The service's process. ``python -m lab.accounting.service`` runs it until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab.accounting import answers, books, faults, meter, openstack
from lab.accounting.answers import Answer
from lab.accounting.faults import Fault
from lab.errors import LabError
from lab.ports import ACCOUNTING, HOST

SAMPLE = 3.0
"""Seconds between two looks at the servers: what a change of theirs may be late in the books."""

_log = logging.getLogger("accounting")


class Server(ThreadingHTTPServer):
    """The API on loopback: ``GET /`` with the header ``X-Auth-Token``."""

    daemon_threads = True

    def __init__(self, port: int, cloud: openstack.Cloud) -> None:
        super().__init__((HOST, port), Handler)
        self.cloud = cloud
        self.closing = threading.Event()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Logs what a connection died of; a client that went away is no fault, and told in one line."""
        if isinstance(sys.exception(), ConnectionError):
            _log.info("a client went away before it was answered")
        else:
            _log.exception("a request was not answered")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version = "lab-accounting"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with the records of the token's project."""
        now: float | None = None
        try:
            found = books.load()
            now = found.clock.at(time.time())
            answer = self._answer(found, now)
        except LabError as error:
            _log.warning("%s", error)
            answer = answers.refusal(503, str(error))
        body = answer.text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(body)))
        if now is not None:
            self.send_header("X-Lab-Time", f"{now:.3f}")
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, found: books.Books, now: float) -> Answer:
        if self.path.partition("?")[0] != "/":
            return answers.refusal(404, "There is nothing but /.")
        token = self.headers.get("X-Auth-Token", "")
        # A missing token is refused without asking Keystone: so does `lab status` look whether this answers.
        project = openstack.token_project(token) if token else None
        if project is None:
            return answers.refusal(401, "The header X-Auth-Token holds no valid token.")
        if project != self.server.cloud.project():
            return Answer(status=200, text="[]")
        fault = faults.read()
        if fault is Fault.SLOW:
            self.server.closing.wait(faults.SLOW)
        return answers.allocations(found, now, fault)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Writes the request's line; its headers, which hold the token, are never logged."""
        _log.info(format, *args)


def keep(cloud: openstack.Cloud, stopped: threading.Event) -> None:
    """Looks at the servers again and again until told to stop; a fault is told once, not at each look."""
    told = ""
    while not stopped.is_set():
        try:
            meter.look(cloud)
            now = ""
        except LabError as error:
            now = str(error)
        except Exception:
            # Whatever it was, the next look may succeed; until then the last known servers burn on.
            _log.exception("a look at the servers failed")
            now = "a look at the servers failed"
        if now != told:
            _log.info("%s", now or "the servers can be seen again")
            told = now
        stopped.wait(SAMPLE)


def main() -> int:
    """Serves until SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
    meter.open_books()
    cloud = openstack.Cloud()
    server = Server(ACCOUNTING, cloud)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.closing.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _log.info("the accounting answers on port %d", ACCOUNTING)
    keep(cloud, server.closing)
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
