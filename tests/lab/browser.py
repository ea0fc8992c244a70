"""What a user's browser does at sign-in and at the choice of a server, without a screen."""

from __future__ import annotations

import http.cookiejar
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

MOST_REDIRECTS = 20


class Browser:
    """A browser with cookies of its own, for which the hub's host name leads to the hub on loopback.

    Between it and a real hub are an ingress and TLS; what those add to a request is added here.
    """

    def __init__(self, hub_url: str, host: str) -> None:
        self._hub = urlsplit(hub_url)
        self._host = host
        self.visited: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False
        # The name in the address is https's, and so are its cookies.
        self._session.cookies.set_policy(
            http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
        )

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Opens a page and follows where it leads."""
        return self._go("GET", urljoin(f"https://{self._host}", path), **arguments)

    def post(self, path: str, form: Mapping[str, str]) -> requests.Response:
        """Sends a form of a page that was opened before, and follows where it leads."""
        return self._go("POST", urljoin(f"https://{self._host}", path), data=form)

    def submit(self, page: requests.Response, form: Mapping[str, str]) -> requests.Response:
        """Sends the only form of a page."""
        (action,) = re.findall(r'<form[^>]*action="([^"]+)"', page.text)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        return self.post(action.replace("&amp;", "&"), {**hidden, **form})

    def events(self, page: requests.Response) -> requests.Response:
        """The stream of events that a page of progress listens to."""
        (path,) = re.findall(r'new EventSource\("([^"]+)"\)', page.text)
        return self.get(path.encode().decode("unicode_escape"), stream=True)

    def _go(self, method: str, address: str, **arguments: Any) -> requests.Response:
        for _ in range(MOST_REDIRECTS):
            self.visited.append(address)
            answer = self._once(method, address, **arguments)
            if not answer.is_redirect:
                return answer
            address, method, arguments = urljoin(address, answer.headers["Location"]), "GET", {}
        raise AssertionError(f"redirected for ever: {self.visited[-4:]}")

    def _once(self, method: str, address: str, **arguments: Any) -> requests.Response:
        parts, headers = urlsplit(address), {}
        if parts.hostname == self._host:
            headers = {"Host": self._host, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
            # A browser names the site that a request comes from; the hub trusts no other.
            headers |= {"Origin": f"https://{self._host}"} if method == "POST" else {}
            parts = parts._replace(scheme=self._hub.scheme, netloc=self._hub.netloc)
        return self._session.request(
            method, urlunsplit(parts), headers=headers, allow_redirects=False, timeout=60, **arguments
        )
