"""The accounting's answers over HTTP; Keystone is played by a server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import ports
from lab.accounting import books, faults, meter, rates
from lab.accounting.faults import Fault
from lab.accounting.openstack import Cloud
from lab.accounting.service import Server

TYPES = {
    "description": str,
    "abstract": str,
    "service_units_allocated": float,
    "service_units_used": float,
    "start_date": str,
    "end_date": str,
    "resource": str,
    "active": int,
}
MINE = "mine"
TOKENS = {MINE: {"project": {"id": "gateway"}}, "other": {"project": {"id": "else"}}, "unscoped": {}}


class Keystone(BaseHTTPRequestHandler):
    """Knows ``TOKENS``; fails at the token "crash"."""

    def do_GET(self) -> None:
        token = self.headers["X-Auth-Token"]
        status = 500 if token == "crash" else 200 if token in TOKENS else 401
        body = json.dumps({"token": TOKENS.get(token, {})}).encode()
        self.send_response(status if self.headers["X-Subject-Token"] == token else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Gateway(Cloud):
    """The project that has the allocation."""

    def project(self) -> str:
        return "gateway"


def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    """Serves until the test is over; gives the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def keystone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Keystone where the service looks for it."""
    for port in serving(ThreadingHTTPServer(("127.0.0.1", 0), Keystone)):
        monkeypatch.setitem(ports.OPENSTACK, "keystone", port)
        yield


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a service whose books have just been opened."""
    monkeypatch.setattr(books, "FILE", tmp_path / "books.json")
    monkeypatch.setattr(books, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(faults, "FILE", tmp_path / "faults" / "accounting")
    meter.open_books()
    for port in serving(Server(0, Gateway())):
        yield f"http://127.0.0.1:{port}/"


def get(address: str, token: str | None = MINE) -> requests.Response:
    return requests.get(address, headers={"X-Auth-Token": token} if token else {}, timeout=10)


def current(records: list[dict[str, Any]]) -> dict[str, Any]:
    (record,) = (record for record in records if record["active"])
    return record


def test_records_have_the_real_apis_keys_and_types(service: str) -> None:
    answer = get(service)
    assert answer.headers["Content-Type"] == "application/json"
    assert float(answer.headers["X-Lab-Time"]) > 1.7e9
    for record in answer.json():
        assert {key: type(value) for key, value in record.items()} == TYPES
    assert [(record["resource"], record["active"]) for record in answer.json()] == [
        (rates.CPU, 0),
        (rates.CPU, 1),
    ]


@pytest.mark.parametrize("token", [None, "", "bad", "mine\u00e4"])
def test_without_a_good_token_there_is_nothing(service: str, token: str | None) -> None:
    headers = {} if token is None else {"X-Auth-Token": token.encode("latin-1")}
    answer = requests.get(service, headers=headers, timeout=10)
    assert answer.status_code == 401
    assert "service_units" not in answer.text


@pytest.mark.parametrize("token", ["other", "unscoped"])
def test_another_projects_token_sees_no_allocation(service: str, token: str) -> None:
    assert get(service, token).json() == []


@pytest.mark.parametrize("token", ["crash", "mine"])
def test_a_keystone_that_fails_is_no_bad_token(
    service: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token == "mine":
        monkeypatch.setitem(ports.OPENSTACK, "keystone", 1)  # nothing listens there
    answer = get(service, token)
    assert (answer.status_code, "Keystone" in answer.text) == (503, True)
    assert token not in answer.text


def test_another_path_is_not_found(service: str) -> None:
    assert get(f"{service}v1").status_code == 404


def test_damaged_books_are_told(service: str) -> None:
    books.FILE.write_text("{")
    assert get(service).status_code == 503


def test_fault_5xx(service: str) -> None:
    faults.switch(Fault.SERVER_ERROR)
    assert get(service).status_code == 503
    faults.switch(Fault.NONE)
    assert get(service).status_code == 200


def test_fault_html(service: str) -> None:
    faults.switch(Fault.HTML)
    answer = get(service)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_fault_null(service: str) -> None:
    faults.switch(Fault.NULL)
    assert current(get(service).json())["service_units_used"] is None


def test_fault_wrong_type(service: str) -> None:
    faults.switch(Fault.WRONG_TYPE)
    assert isinstance(current(get(service).json())["service_units_used"], str)


def test_fault_lag(service: str) -> None:
    with books.alone():
        found = books.load()
        burning = found.metered({rates.CPU: 4.0}, [], real=found.clock.real)
        jumped = burning.clock.jumped(24 * 3600, real=found.clock.real)
        books.save(burning.model_copy(update={"clock": jumped}))
    assert current(get(service).json())["service_units_used"] == pytest.approx(96, abs=0.1)
    faults.switch(Fault.LAG)
    assert current(get(service).json())["service_units_used"] == pytest.approx(96 - 72, abs=0.1)


def test_fault_slow_answers_late_and_right(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.switch(Fault.SLOW)
    with pytest.raises(requests.ReadTimeout):
        requests.get(service, headers={"X-Auth-Token": "mine"}, timeout=0.3)
    # Whoever only looks whether it answers does not wait.
    assert get(service, None).status_code == 401
    monkeypatch.setattr(faults, "SLOW", 0.5)
    answer = get(service)
    assert answer.elapsed.total_seconds() >= 0.5
    assert current(answer.json())["service_units_used"] == 0


def test_an_allocation_that_is_over_is_not_active(service: str) -> None:
    with books.alone():
        found = books.load()
        over = found.clock.jumped(400 * 86400, real=found.clock.real)
        books.save(found.model_copy(update={"clock": over}))
    assert [record["active"] for record in get(service).json()] == [0, 0]


def test_no_token_reaches_the_log(service: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="accounting"):
        get(service)
    assert "GET /" in caplog.text
    assert "mine" not in caplog.text
