"""Designate's API, central, worker, producer and name server in one process.

The name server is Designate's own (mdns), which serves the zones from the database. In a cloud the public
name servers copy their zones from it; here it is itself the one that is asked, so a record is ACTIVE once a
name server answers with it.
"""

from __future__ import annotations

from typing import Any

from oslo_service import backend

# Before any part of Designate: the default is to patch the standard library with eventlet.
backend.init_backend(backend.BackendType.THREADING)

# isort: split

# Next: importing it reads the configuration.
from designate.wsgi.api import application

# isort: split

from designate import context
from designate.central import service as central_service
from designate.mdns import handler
from designate.mdns import service as mdns_service
from designate.objects.adapters import DesignateAdapter
from designate.producer import service as producer_service
from designate.worker import service as worker_service
from oslo_config import cfg

__all__ = ["application", "start"]

NAME_SERVER_NAME = "ns1.projects.example."
"""What the zones' NS records say; a name reserved for documentation."""

ZONE_OF_REQUEST = handler.RequestHandler._zone_criterion_from_request


def zone_still_served(
    self: handler.RequestHandler, request: Any, criterion: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Which zone a question is about: none that is being deleted.

    A zone leaves the database only when no name server has it any more, and this one reads the database.
    """
    return {**ZONE_OF_REQUEST(self, request, criterion), "action": "!DELETE"}


def start() -> None:
    """Starts what works beside the API, and names the name server to central."""
    handler.RequestHandler._zone_criterion_from_request = zone_still_served
    central = central_service.Service()
    central.start()
    _name_server(central)
    for service in (worker_service.Service(), producer_service.Service(), mdns_service.Service()):
        service.start()


def _name_server(central: central_service.Service) -> None:
    """Makes the default pool that of our one name server."""
    admin = context.DesignateContext.get_admin_context(all_tenants=True)
    pool = central.get_pool(admin, cfg.CONF["service:central"].default_pool_id)
    host, _, port = cfg.CONF["service:mdns"].listen[0].rpartition(":")
    place = {"host": host, "port": int(port)}
    wanted = {
        "name": pool.name,
        "ns_records": [{"hostname": NAME_SERVER_NAME, "priority": 1}],
        "nameservers": [place],
        # The target is where a zone's data would be put: nowhere, since the name server has them already.
        "targets": [{"type": "fake", "masters": [place], "options": place}],
    }
    central.update_pool(admin, DesignateAdapter.parse("YAML", wanted, pool))
