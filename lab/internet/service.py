"""The web around the clusters, and its name server. ``python -m lab.internet.service``.

Two kinds of clients come here. The certificate authority looks from outside: by name, the name's record, the
floating address, the load balancer. cert-manager looks from inside its pod, through this as its proxy: by the
pod's own hosts file, the address inside the cluster, the Service. From inside, a floating address leads
nowhere, as on clouds where nodes without one of their own cannot reach any.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import logging
import socketserver
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from lab.errors import LabError
from lab.internet import names, routes
from lab.internet.routes import NoRouteError, Objects
from lab.kubernetes import folders
from lab.kubernetes.api import Api, ApiError
from lab.ports import HOST, NAME_SERVER, RESOLVER, WEB

LOG = logging.getLogger("web")


def clusters() -> Iterator[Objects]:
    """What every cluster has that answers."""
    try:
        expected = folders.expected_to_run()
    except LabError as error:
        LOG.warning("no cluster is looked at: %s", error)
        return
    for folder in expected:
        plane = folder.made_control_plane()
        if plane is None:
            continue
        api = Api(plane)
        try:
            yield Objects(
                services=api.list("/api/v1/services")[0],
                pods=api.list("/api/v1/pods")[0],
                ingresses=api.list("/apis/networking.k8s.io/v1/ingresses")[0],
                classes=api.list("/apis/networking.k8s.io/v1/ingressclasses")[0],
            )
        except ApiError as error:
            LOG.warning("cluster %s is left out: %s", folder.uuid[:8], error)
        finally:
            api.close()


def resolve(host: str) -> str | None:
    """Loopback for a name whose record leads to a load balancer; None for any other.

    Raises:
        OSError: if Designate's name server does not answer.
    """
    address = names.ask(host, (HOST, NAME_SERVER))
    if address is None:
        return None
    if any(routes.load_balancer(objects, address) for objects in clusters()):
        return HOST
    LOG.info("%s is %s, where nobody answers", host, address)
    return None


def from_outside(host: str, path: str) -> str:
    """What someone on the internet gets at port 80 of a host; raises NoRouteError."""
    try:
        address = names.ask(host, (HOST, NAME_SERVER))
    except OSError as error:
        raise NoRouteError(504, "Designate's name server does not answer") from error
    for objects in clusters() if address else ():
        entrance = routes.load_balancer(objects, str(address))
        if entrance:
            return routes.answer(objects, entrance, host, path)
    raise NoRouteError(504, f"{host} is {address}, where nobody answers")


def from_pod(uid: str, host: str, path: str) -> str:
    """What a pod gets at port 80 of a host; raises NoRouteError."""
    for objects in clusters():
        pod = next((each for each in objects.pods if each["metadata"]["uid"] == uid), None)
        if pod is None:
            continue
        address = routes.alias(pod, host)
        if address is None:
            raise NoRouteError(504, f"no route from the node to the floating address of {host}")
        entrance = routes.cluster_service(objects, address)
        if entrance is None:
            raise NoRouteError(504, f"no Service has the address {address}, which {host} is in the pod")
        return routes.answer(objects, entrance, host, path)
    raise NoRouteError(407, "a proxy for pods only, by their uid")


class Web(http.server.BaseHTTPRequestHandler):
    """Port 80 of every host; with a whole address in the request line, a proxy for pods."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers one request."""
        address = urlsplit(self.path)
        host = (address.hostname or self.headers.get("Host", "").partition(":")[0]).lower()
        try:
            if address.netloc:
                status, text = 200, from_pod(self._pod(), host, address.path)
            else:
                status, text = 200, from_outside(host, address.path)
        except NoRouteError as error:
            status, text = error.status, str(error)
        LOG.info(
            "%s %s%s: %d %s",
            self._pod() or "outside",
            host,
            address.path,
            status,
            text if status != 200 else "",
        )
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pod(self) -> str:
        """The uid by which a pod's process signs in, or an empty text."""
        kind, _, word = self.headers.get("Proxy-Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return ""
        with contextlib.suppress(ValueError):
            return base64.b64decode(word).decode("utf-8").partition(":")[0]
        return ""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
        """Nothing: what matters is logged with its reason."""


class Names(socketserver.StreamRequestHandler):
    """The name server, by TCP: Pebble asks by nothing else."""

    def handle(self) -> None:
        """Answers the questions of one connection; each has its length before it."""
        while len(head := self.rfile.read(2)) == 2:
            answer = names.respond(self.rfile.read(int.from_bytes(head)), resolve)
            if answer is None:
                return
            self.wfile.write(len(answer).to_bytes(2) + answer)


class NameServer(socketserver.ThreadingTCPServer):
    """Takes its port again at once after a restart."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> int:
    """Serves until it is stopped."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
    with (
        NameServer((HOST, RESOLVER), Names) as resolver,
        http.server.ThreadingHTTPServer((HOST, WEB), Web) as web,
    ):
        threading.Thread(target=resolver.serve_forever, daemon=True).start()
        web.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
