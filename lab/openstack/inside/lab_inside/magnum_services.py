"""Magnum's API and conductor in one process."""

from __future__ import annotations

import threading
from typing import Any

# First: importing it reads the configuration.
from magnum.wsgi.api import application

# isort: split

import magnum.conf
from magnum.common import policy, rpc_service, short_id
from magnum.conductor import api as conductor_api
from magnum.conductor.handlers import (
    ca_conductor,
    cluster_conductor,
    conductor_listener,
    credential_conductor,
    federation_conductor,
    indirection_api,
    nodegroup_conductor,
)
from magnum.service import periodic
from oslo_log import log

from lab_inside import faults

__all__ = ["application", "start"]

LOG = log.getLogger(__name__)

STATUS_INTERVAL = 2
"""Seconds between two looks at clusters in progress; Magnum's own 10 are fixed in its code."""

RACE_SECONDS = 3.0
"""By how much the conductor is behind with the fault: a client on a busy machine is too early, too."""

CAST = conductor_api.API._cast


def cast_and_wait(self: conductor_api.API, method: str, **arguments: Any) -> None:
    """Hands an operation to the conductor and returns once it is on record.

    Real Magnum answers a request before its conductor has recorded the new status, so a client that
    looks at once meets a 404 after a create, or the old status after a delete. That is left to a fault
    that can be switched on. As there, what goes wrong in the conductor is seen in the status only.
    """
    if faults.switched_on(faults.MAGNUM_RACE, cluster=getattr(arguments.get("cluster"), "name", None)):
        threading.Timer(RACE_SECONDS, CAST, (self, method), arguments).start()
        return
    try:
        self._call(method, **arguments)
    except Exception:
        LOG.exception("The conductor's %s failed", method)


def start() -> None:
    """Starts the conductor and its periodic tasks."""
    # Not with the first request, as else: a second one meanwhile would be judged by half of it.
    policy.init()
    periodic.MagnumPeriodicTasks._periodic_spacing["sync_cluster_status"] = STATUS_INTERVAL
    conductor_api.API._cast = cast_and_wait
    server = rpc_service.Service.create(
        magnum.conf.CONF.conductor.topic,
        short_id.generate_id(),
        [
            indirection_api.Handler(),
            cluster_conductor.Handler(),
            conductor_listener.Handler(),
            credential_conductor.Handler(),
            ca_conductor.Handler(),
            federation_conductor.Handler(),
            nodegroup_conductor.Handler(),
        ],
        binary="magnum-conductor",
    )
    server.create_periodic_tasks()
    server.start()
