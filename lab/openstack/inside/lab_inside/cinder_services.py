"""Cinder's API, scheduler and volume service in one process."""

from __future__ import annotations

import threading

from cinder import monkey_patch

# Before any other part of Cinder: its own default is to patch the standard library with eventlet.
monkey_patch.patch(backend="threading")

# isort: split

# Next: importing it reads the configuration.
from cinder.wsgi.api import application

# isort: split

from cinder import context, objects, policy, service
from oslo_config import cfg

__all__ = ["application", "start"]

REPORTING = threading.Lock()
REPORT_STATE = service.Service.report_state


def report_own_state(self: service.Service) -> None:
    """Reports a service as alive under its own id, which Cinder keeps once for all in a process."""
    with REPORTING:
        service.Service.service_id = self.origin_service_id
        REPORT_STATE(self)


def start() -> None:
    """Starts the volume service, then the scheduler.

    In this order because the scheduler, when it starts, waits up to a minute for a volume service.
    """
    # Not with the first request, as else: a second one meanwhile would be judged by half of it.
    policy.init()
    service.Service.report_state = report_own_state
    backend = cfg.CONF.enabled_backends[0]
    volume = service.Service.create(
        host=f"{cfg.CONF.host}@{backend}", service_name=backend, binary="cinder-volume"
    )
    scheduler = service.Service.create(binary="cinder-scheduler")
    for each in (volume, scheduler):
        each.start()
        each.report_state()
    _settle_interrupted()


def _settle_interrupted() -> None:
    """Gives up volumes whose creation a kill ended before they had a place; nobody remembers them."""
    for volume in objects.VolumeList.get_all(context.get_admin_context(), filters={"status": "creating"}):
        if volume.host is None:
            volume.status = "error"
            volume.save()
