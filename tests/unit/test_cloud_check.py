"""Credentials that cannot work are told in one sentence; what a cloud has is for tests/lab."""

from __future__ import annotations

import http.server
import socket
import threading
from pathlib import Path

import pytest

from stacks.cloud_check import CloudError, connect
from stacks.settings import Cloud

VARIABLES = (
    "OS_AUTH_URL",
    "OS_CLOUD",
    "OS_CLIENT_CONFIG_FILE",
    "OS_USERNAME",
    "OS_PASSWORD",
    "OS_PROJECT_NAME",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials in the surroundings; the folder is for a clouds.yaml."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(cloud: Cloud) -> str:
    with pytest.raises(CloudError) as refusal:
        connect(cloud)
    text = str(refusal.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def write_cloud(folder: Path, port: int, region: str = "") -> None:
    (folder / "clouds.yaml").write_text(
        f"""clouds:
  mine:
    auth_type: v3applicationcredential
    {region}
    auth:
      auth_url: http://127.0.0.1:{port}/v3
      application_credential_id: an-id
      application_credential_secret: a-hidden-secret
"""
    )


def test_no_credentials() -> None:
    assert "OS_AUTH_URL is not set" in refused(Cloud(name=None))


def test_unknown_cloud() -> None:
    assert "gateway:cloud cannot be used: Cloud js2 was not found" in refused(Cloud(name="js2"))


def test_unknown_region(bare: Path) -> None:
    write_cloud(bare, 1, region="region_name: RegionOne")
    assert "Region Elsewhere is not a valid region" in refused(Cloud(name="mine", region="Elsewhere"))


@pytest.mark.parametrize(
    ("part", "instead", "reason"),
    [
        ("v3applicationcredential", "v3applicationcredentials", "could not be found"),
        ("application_credential_id: an-id", "project_id: an-id", "application credential ID"),
        ("application_credential_secret: a-hidden-secret", "project_id: an-id", "auth secret"),
    ],
)
def test_incomplete_credentials(bare: Path, part: str, instead: str, reason: str) -> None:
    write_cloud(bare, 1)
    file = bare / "clouds.yaml"
    file.write_text(file.read_text().replace(part, instead))
    assert reason in refused(Cloud(name="mine"))


def test_two_sets_of_credentials(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cloud(bare, 1)
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:1/v3")
    assert "OS_AUTH_URL is set too" in refused(Cloud(name="mine"))


def test_unreachable_cloud(bare: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    write_cloud(bare, port)
    text = refused(Cloud(name="mine"))
    assert f"does not answer at http://127.0.0.1:{port}/v3" in text
    assert "a-hidden-secret" not in text


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "refuses the credentials"), (503, "status 503"), (404, "not the address of a Keystone")],
)
def test_only_a_refusal_is_called_one(bare: Path, status: int, said: str) -> None:
    class Keystone(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Keystone) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        write_cloud(bare, server.server_address[1])
        text = refused(Cloud(name="mine"))
        server.shutdown()
    assert said in text
    assert "a-hidden-secret" not in text
