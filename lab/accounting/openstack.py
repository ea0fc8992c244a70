"""What the service asks of OpenStack: whose token it was given, and which servers run."""

from __future__ import annotations

import functools
from typing import Any

import requests
import yaml
from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from lab import paths
from lab.accounting.rates import Server
from lab.errors import LabError
from lab.ports import HOST, OPENSTACK

CLOUD = "lab-keeper"
"""The cloud of ``clouds.yaml`` whose project has the allocation."""

TIMEOUT = 10.0
"""Seconds; whoever looks at Nova keeps the books locked meanwhile."""

FLAVOR_IN_SERVER = "2.47"
"""The version of Nova's API from which on servers tell their flavor's name and vCPUs."""


def token_project(token: str) -> str | None:
    """The id of the project a token is for, "" if it is for none; None if Keystone does not accept it.

    The token itself is used to ask: Keystone tells everybody about their own.

    Raises:
        LabError: if Keystone does not answer.
    """
    address = f"http://{HOST}:{OPENSTACK['keystone']}/v3/auth/tokens?nocatalog"
    try:
        answer = requests.get(
            address, headers={"X-Auth-Token": token, "X-Subject-Token": token}, timeout=TIMEOUT
        )
    except requests.exceptions.InvalidHeader:
        return None
    except requests.RequestException as error:
        raise LabError(f"Keystone does not answer: {type(error).__name__}.") from error
    if answer.status_code in (400, 401, 403, 404):
        return None
    if answer.status_code != 200:
        raise LabError(f"Keystone answers {answer.status_code}.")
    return str(answer.json()["token"].get("project", {}).get("id", ""))


class Cloud:
    """The connection to the project that has the allocation; made at the first question."""

    @functools.cached_property
    def _session(self) -> Session:
        try:
            entry = yaml.safe_load(paths.CLOUDS_YAML.read_text())["clouds"][CLOUD]
        except (OSError, KeyError) as error:
            raise LabError("The lab has no clouds.yaml yet. Run `python -m lab up`.") from error
        return Session(auth=Password(**entry["auth"]), timeout=TIMEOUT)

    def project(self) -> str:
        """The project's id.

        Raises:
            LabError: if Keystone refuses or does not answer.
        """
        try:
            return str(self._session.get_project_id())
        except ClientException as error:
            raise LabError(f"Keystone does not sign the accounting in: {error}") from error

    def servers(self) -> list[Server]:
        """The project's servers, in every state.

        Raises:
            LabError: if Nova refuses or does not answer.
        """
        nova = Adapter(self._session, service_type="compute", interface="public")
        try:
            answer = nova.get("/servers/detail", microversion=FLAVOR_IN_SERVER, timeout=TIMEOUT)
            found = answer.json()["servers"]
        except (ClientException, ValueError, KeyError) as error:
            raise LabError(
                f"Nova does not tell which servers run: {error}. Run `python -m lab up`, which repairs."
            ) from error
        return [_server(entry) for entry in found]


def _server(entry: dict[str, Any]) -> Server:
    flavor = entry["flavor"]
    return Server(flavor=flavor["original_name"], vcpus=flavor["vcpus"], state=entry["status"])
