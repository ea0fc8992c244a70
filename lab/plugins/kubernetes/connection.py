"""HTTP to an API server with the credentials of a kubeconfig.

The certificates go straight into memory: a client library that keeps them in temporary files for its
lifetime leaves them behind whenever the engine kills its plugins, which is how it ends every update.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from pathlib import Path
from typing import Any

import urllib3

from lab.plugins.kubernetes.kubeconfig import Access
from lab.plugins.provider import PluginError

_CONNECTIONS = 32
"""Kept open; more are opened when more operations run at once."""


def headers(access: Access) -> dict[str, str]:
    """The headers that say who we are, if no certificate does.

    Raises:
        PluginError: if the kubeconfig's user signs in by a way that is not offered here.
    """
    user = _user(access)
    if "exec" in user or "auth-provider" in user:
        raise PluginError(
            "The kubeconfig's user signs in by an external program, which the lab's own plugin lacks; "
            "use one with a client certificate or a token."
        )
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = _file(user["tokenFile"]).decode().strip()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user.get("username"):
        return urllib3.make_headers(basic_auth=f"{user['username']}:{user.get('password', '')}")
    return {}


def pool(access: Access) -> urllib3.PoolManager:
    """Connections to the cluster, verified and authenticated as its kubeconfig says.

    Raises:
        PluginError: if a certificate or key in it cannot be used.
    """
    server_name = access.cluster.get("tls-server-name")
    try:
        return urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            retries=False,
            ssl_context=_tls(access),
            server_hostname=server_name,
            assert_hostname=server_name,
        )
    except (ssl.SSLError, binascii.Error, ValueError) as error:
        # No details: they could quote a key.
        raise PluginError("The kubeconfig's certificates or its key cannot be used.") from error


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority = _material(access.cluster, "certificate-authority")
    if authority:
        context = ssl.create_default_context(cadata=authority.decode())
    # Clusters' own CAs often lack the extensions that Python insists on since 3.13.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if access.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _material(_user(access), "client-certificate")
    key = _material(_user(access), "client-key")
    if certificate and key:
        # Python reads them from files only; these live for the length of this block.
        with tempfile.TemporaryDirectory() as folder:
            both = Path(folder) / "client.pem"
            both.touch(mode=0o600)
            both.write_bytes(certificate + b"\n" + key)
            context.load_cert_chain(both)
    return context


def _user(access: Access) -> dict[str, Any]:
    found: dict[str, Any] = access.config["users"][0]["user"]
    return found


def _material(section: dict[str, Any], name: str) -> bytes | None:
    if section.get(f"{name}-data"):
        return base64.b64decode(section[f"{name}-data"], validate=True)
    return _file(section[name]) if section.get(name) else None


def _file(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise PluginError(f"The kubeconfig names the file {path}: {error.strerror}.") from error
