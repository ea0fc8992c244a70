"""Keystone, which before it serves makes sure of what the other services rely on.

That is: the administrator, the services' common user, and the catalog. Done here rather than through the
API, because the others start at the same time and sign in the moment Keystone answers.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# First: importing it reads the configuration.
from keystone.wsgi.api import application

# isort: split

from keystone import exception
from keystone.cmd import bootstrap as keystone_bootstrap
from keystone.common import provider_api

PROVIDERS = provider_api.ProviderAPIs
INTERFACES = ("public", "internal", "admin")
SERVICE = "service"
"""The name of the services' common project and user."""

__all__ = ["application", "start"]


def start() -> None:
    """Creates or repairs administrator, service user and catalog."""
    wanted = json.loads((Path(os.environ["OS_KEYSTONE_CONFIG_DIR"]) / "identity.json").read_text())
    # The application has loaded Keystone's backends, which refuse to be loaded a second time.
    keystone_bootstrap.backends.load_backends = lambda: None
    bootstrap = keystone_bootstrap.Bootstrapper()
    bootstrap.admin_username = bootstrap.project_name = bootstrap.admin_role_name = "admin"
    bootstrap.admin_password = wanted["admin_password"]
    bootstrap.region_id = wanted["region"]
    bootstrap.immutable_roles = True
    bootstrap.bootstrap()
    _service_user(bootstrap, wanted["service_password"])
    _catalog(wanted)


def _service_user(bootstrap: keystone_bootstrap.Bootstrapper, password: str) -> None:
    domain = bootstrap.default_domain_id
    project_id = uuid.uuid4().hex
    project = {"id": project_id, "name": SERVICE, "domain_id": domain, "enabled": True}
    _unless_there(lambda: PROVIDERS.resource_api.create_project(project_id, project))
    project_id = PROVIDERS.resource_api.get_project_by_name(SERVICE, domain)["id"]
    new_user = {"name": SERVICE, "domain_id": domain, "enabled": True, "password": password}
    _unless_there(lambda: PROVIDERS.identity_api.create_user(new_user))
    user_id = PROVIDERS.identity_api.get_user_by_name(SERVICE, domain)["id"]
    try:
        PROVIDERS.identity_api.driver.authenticate(user_id, password)
    except AssertionError:
        PROVIDERS.identity_api.update_user(user_id, {"password": password})
    for role_id in (bootstrap.admin_role_id, bootstrap.service_role_id):
        assignment = {"user_id": user_id, "project_id": project_id, "role_id": role_id}
        _unless_there(functools.partial(PROVIDERS.assignment_api.add_role_to_user_and_project, **assignment))


def _catalog(wanted: Mapping[str, Any]) -> None:
    catalog = PROVIDERS.catalog_api
    services = {service["type"]: service["id"] for service in catalog.list_services()}
    endpoints = {(each["service_id"], each["interface"]): each for each in catalog.list_endpoints()}
    for entry in wanted["catalog"]:
        service_id = services.get(entry["type"])
        if service_id is None:
            service_id = uuid.uuid4().hex
            service = {"id": service_id, "type": entry["type"], "name": entry["name"], "enabled": True}
            catalog.create_service(service_id, service)
        for interface in INTERFACES:
            there = endpoints.get((service_id, interface))
            if there is None:
                endpoint = {
                    "id": uuid.uuid4().hex,
                    "service_id": service_id,
                    "interface": interface,
                    "url": entry["url"],
                    "region_id": wanted["region"],
                    "enabled": True,
                }
                catalog.create_endpoint(endpoint["id"], endpoint)
            elif there["url"] != entry["url"]:
                catalog.update_endpoint(there["id"], {**there, "url": entry["url"]})


def _unless_there(create: Callable[[], object]) -> None:
    with contextlib.suppress(exception.Conflict):
        create()
