"""The door: what jupyter-server-proxy reaches, and the way from there to the VNC server.

Only who is logged in to JupyterLab comes here. The page asks for the session's secrets once, by a request
that no other site's page can make; the websocket is let through only to who shows the ticket, and x11vnc
then asks for the password.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from . import folder, programs
from .clipboard import LARGEST_BYTES
from .desktop import Desktop, NotReadyError
from .secret import Secrets
from .settings import Settings, Size

PAGE = Path(__file__).parent / "page"
OWN_HEADER = "X-Virtual-Desktop"
"""A page of another site cannot send it without being asked for permission (CORS), which is never given."""
BLOCK = 65536
POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"
)


def application(
    desktop: Desktop, settings: Settings, keys: Secrets, place: Path, problem: str
) -> Application:
    """The routes.

    Args:
        problem: what keeps the desktop from starting, for the user to read; empty if nothing does.
    """
    parts = {"desktop": desktop, "settings": settings, "keys": keys, "place": place, "problem": problem}
    return Application(
        [
            (r"/", Page),
            (r"/session", Session, parts),
            (r"/size", ScreenSize, parts),
            (r"/state", State, parts),
            (r"/websockify", Vnc, parts),
            (r"/clipboard", ClipboardSocket, {"desktop": desktop, "keys": keys}),
            (r"/novnc/((?:core|vendor)/.*)", Static, {"path": str(programs.NOVNC)}),
            (r"/((?:page|icon)\.(?:js|css|svg))", Static, {"path": str(PAGE)}),
        ],
        log_function=lambda _handler: None,
    )


class Static(StaticFileHandler):
    """Files that are in the image."""

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - tornado's signature
        """Lets browsers ask whether they have changed."""
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")


class Page(RequestHandler):
    """The page. It has no secrets in it."""

    def get(self) -> None:
        """Sends it."""
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish((PAGE / "index.html").read_text())


class Guarded(RequestHandler):
    """What only our own page may ask."""

    def initialize(
        self, desktop: Desktop, settings: Settings, keys: Secrets, place: Path, problem: str
    ) -> None:
        """Takes its parts."""
        self.desktop, self.settings_of_desktop, self.keys = desktop, settings, keys
        self.place, self.problem = place, problem

    def prepare(self) -> None:
        """Refuses what another site's page could send."""
        self.set_header("Cache-Control", "no-store")
        if OWN_HEADER not in self.request.headers:
            raise HTTPError(403, "not asked by the desktop's page")

    def ticket(self) -> str | None:
        """The ticket that was shown."""
        return self.get_cookie(self.keys.ticket_name)

    def wanted_size(self) -> Size:
        """The size in the request's body."""
        try:
            body = json.loads(self.request.body)
            return Size(int(body["width"]), int(body["height"]))
        except (ValueError, TypeError, KeyError, OverflowError) as problem:
            raise HTTPError(400, "width and height must be numbers") from problem

    def say(self, **answer: Any) -> None:
        """Answers."""
        self.finish(answer)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Says what is wrong without a traceback."""
        self.finish(
            {"problem": self._reason if status_code != 500 else "the supervisor failed; see JupyterLab's log"}
        )


class Session(Guarded):
    """Begins or resumes the session of a page: starts the desktop and hands out the secrets."""

    async def post(self) -> None:
        """Answers when the desktop can be looked at."""
        if self.problem:
            self.set_status(503)
            self.say(problem=self.problem)
            return
        resuming = self.get_query_argument("resume", "") == "1"
        if resuming and not self.desktop.is_running:
            self.set_status(409)
            self.say(problem="stopped")
            return
        await self.desktop.resize(self.wanted_size())
        await self.desktop.start()
        try:
            await self.desktop.ready()
        except NotReadyError as problem:
            self.set_status(503)
            self.say(problem=str(problem))
            return
        # The path is the browser's, whatever the hub has put before it.
        self.set_cookie(
            self.keys.ticket_name,
            self.keys.ticket,
            path=self.request.headers.get("X-Forwarded-Context", "/"),
            httponly=True,
            samesite="Strict",
            secure=self.request.headers.get("X-Forwarded-Proto", "").startswith("https"),
        )
        self.say(password=self.keys.password, pause_minutes=self.settings_of_desktop.pause_minutes)


class ScreenSize(Guarded):
    """Gives the screen the size of the page."""

    async def post(self) -> None:
        """Answers with the size that it got."""
        if not self.keys.admits(self.ticket()):
            raise HTTPError(403, "without the session's ticket")
        size = await self.desktop.resize(self.wanted_size())
        self.say(width=size.width, height=size.height)


class State(Guarded):
    """Whether the desktop runs."""

    def get(self) -> None:
        """Tells it, and what the idle time is."""
        self.say(running=self.desktop.is_running, idle_minutes=self.settings_of_desktop.idle_minutes)


class Vnc(Guarded):
    """The websocket, handed on to websockify byte by byte."""

    def prepare(self) -> None:
        """Browsers cannot add headers to a websocket: here the ticket alone decides."""
        if not self.keys.admits(self.ticket()):
            raise HTTPError(403, "without the session's ticket")
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise HTTPError(426, "a websocket is expected here")

    async def get(self) -> None:
        """Becomes a tunnel."""
        if not self.desktop.is_running:
            raise HTTPError(409, "stopped")
        try:
            await self.desktop.ready()
            inner = await _connect(folder.websocket(self.place))
        except (NotReadyError, OSError) as problem:
            raise HTTPError(503, "the desktop does not answer") from problem
        lines = [f"{self.request.method} /websockify HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in self.request.headers.get_all() if name != "Cookie"]
        outer = self.detach()
        try:
            await inner.write("\r\n".join([*lines, "", ""]).encode())
            await asyncio.gather(_carry(outer, inner), _carry(inner, outer))
        except StreamClosedError:
            pass
        finally:
            inner.close()
            outer.close()


class ClipboardSocket(WebSocketHandler):
    """A websocket of texts: what is copied on one side goes to the other."""

    def initialize(self, desktop: Desktop, keys: Secrets) -> None:
        """Takes its parts."""
        self.desktop, self.keys = desktop, keys

    def prepare(self) -> None:
        """Lets in who shows the ticket."""
        if not self.keys.admits(self.get_cookie(self.keys.ticket_name)):
            raise HTTPError(403, "without the session's ticket")

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - tornado's signature
        """jupyter-server-proxy has looked at it, and browsers keep the ticket from other sites' pages."""
        return True

    def open(self, *_: str, **__: str) -> None:
        """From now on it hears what is copied in the desktop."""
        self.desktop.on_copy.add(self._copied)

    def on_close(self) -> None:
        """No longer."""
        self.desktop.on_copy.discard(self._copied)

    async def on_message(self, message: str | bytes) -> None:
        """A text that was copied in the browser."""
        if isinstance(message, str) and len(message.encode()) <= LARGEST_BYTES:
            await self.desktop.paste(message)

    def _copied(self, text: str) -> None:
        with contextlib.suppress(WebSocketClosedError):
            self.write_message(text)


async def _connect(path: Path) -> IOStream:
    stream = IOStream(socket.socket(socket.AF_UNIX))
    await stream.connect(str(path))
    return stream


async def _carry(source: IOStream, target: IOStream) -> None:
    try:
        while True:
            await target.write(await source.read_bytes(BLOCK, partial=True))
    finally:
        source.close()
        target.close()
