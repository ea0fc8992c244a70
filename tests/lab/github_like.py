"""An OAuth server on loopback that answers as GitHub does, as far as a hub asks it."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from lab.ports import HOST

MEMBER = re.compile(r"/api/v3/orgs/(?P<org>[^/]+)(/teams/(?P<team>[^/]+))?/members/(?P<login>[^/]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """Someone with an account.

    Attributes:
        login: the name, in the letters that its owner chose.
        organizations: organizations and teams, the latter as ``organization:team``.
        public: whether the memberships are shown to everyone.
    """

    login: str
    organizations: tuple[str, ...] = ()
    public: bool = False


class GitHubLike:
    """The server's data: one OAuth application, and accounts.

    Attributes:
        at_the_screen: whose browser it is that comes to be signed in.
        refused: why requests were refused, for tests to read.
    """

    def __init__(self, *, client_id: str, client_secret: str, callback: str, accounts: list[Account]) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.callback = callback
        self.accounts = {account.login.lower(): account for account in accounts}
        self.at_the_screen = ""
        self.refused: list[str] = []
        self.url = ""
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, tuple[Account, list[str]]] = {}

    def authorize(self, query: Mapping[str, str]) -> tuple[int, str]:
        """Where the browser is sent: back to the application, if it is the one that is registered."""
        if query.get("client_id") != self.client_id:
            return self._refuse(404, "unknown client_id")
        if query.get("redirect_uri") != self.callback:
            return self._refuse(404, f"redirect_uri {query.get('redirect_uri')} is not registered")
        code = secrets.token_hex(10)
        self._codes[code] = {**query, "login": self.at_the_screen}
        return 302, f"{self.callback}?{urlencode({'code': code, 'state': query['state']})}"

    def access_token(self, form: Mapping[str, str]) -> tuple[int, Any]:
        """A token for a code, which is good once."""
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return self._refuse(200, "bad_verification_code")
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return self._refuse(200, "incorrect_client_credentials")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if "code_challenge" in asked and _base64(digest) != asked["code_challenge"]:
            return self._refuse(200, "code_verifier does not fit")
        token, scopes = secrets.token_hex(20), asked.get("scope", "").replace(",", " ").split()
        self._tokens[token] = (self.accounts[asked["login"].lower()], scopes)
        return 200, {"access_token": token, "token_type": "bearer", "scope": ",".join(scopes)}

    def resource(self, path: str, token: str) -> tuple[int, Any]:
        """The API's answer to someone with a token."""
        if token not in self._tokens:
            return self._refuse(401, "Bad credentials")
        account, scopes = self._tokens[token]
        if path == "/api/v3/user":
            return 200, {"login": account.login, "id": 1, "name": account.login, "email": None}
        if found := MEMBER.fullmatch(path):
            return self._membership(found, account, scopes)
        return self._refuse(404, f"{path} is not served")

    def _membership(self, asked: re.Match[str], account: Account, scopes: list[str]) -> tuple[int, Any]:
        member = self.accounts.get(asked["login"].lower())
        of = asked["org"] if asked["team"] is None else f"{asked['org']}:{asked['team']}"
        is_member = member is not None and of in member.organizations
        # Without the scope, GitHub does not tell of private memberships, and of teams not at all.
        sees = "read:org" in scopes or (asked["team"] is None and account.public)
        return (204, None) if is_member and sees else (404, {"message": "Not Found"})

    def _refuse(self, status: int, why: str) -> tuple[int, Any]:
        self.refused.append(why)
        return status, {"error": why, "message": why}


@contextlib.contextmanager
def serving(github: GitHubLike) -> Iterator[GitHubLike]:
    """Serves it for the length of the block, at its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/login/oauth/authorize":
                status, body = github.authorize(_first(address.query))
                self._answer(status, None if status == 302 else body, body if status == 302 else None)
            else:
                token = self.headers.get("Authorization", "").partition(" ")[2]
                self._answer(*github.resource(address.path, token))

        def do_POST(self) -> None:
            form = _first(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer(*github.access_token(form))

        def _answer(self, status: int, body: Any, location: str | None = None) -> None:
            text = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Says nothing: codes and tokens are in its lines."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        github.url = f"http://{HOST}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield github
        finally:
            server.shutdown()
            thread.join()


def _first(text: str) -> dict[str, str]:
    return {key: found[0] for key, found in parse_qs(text).items()}


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
