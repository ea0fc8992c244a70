"""Nova's API, conductor, scheduler and compute service in one process."""

from __future__ import annotations

import sys

# First: importing it reads the configuration and settles how Nova runs its threads.
from nova.wsgi.osapi_compute import application

# isort: split

import os_vif
from nova import context, service
from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler_rpcapi

from lab_inside import nova_hypervisor, nova_recovery

__all__ = ["application", "start"]

# Nova looks a hypervisor's driver up below nova.virt only.
sys.modules["nova.virt.lab"] = nova_hypervisor


def start() -> None:
    """Starts the conductor, the scheduler and the compute service, and makes their host known.

    Unlike Nova's own command for the compute service, this leaves the database open to it: what forbids
    it is global to the process, and the API and the conductor need the database.
    """
    os_vif.initialize()
    topics = (
        ("nova-conductor", conductor_rpcapi.RPC_TOPIC, None),
        ("nova-scheduler", scheduler_rpcapi.RPC_TOPIC, None),
        ("nova-compute", compute_rpcapi.RPC_TOPIC, compute_rpcapi.RPC_TOPIC_ALT),
    )
    services: dict[str, service.Service] = {}
    for binary, topic, alternative in topics:
        started = service.Service.create(binary=binary, topic=topic, topic_alt=alternative)
        started.start()
        # Counted as alive from now on rather than from its first report, some seconds later.
        started.service_ref.report_count += 1
        started.service_ref.save()
        services[binary] = started
    host_mapping.discover_hosts(context.get_admin_context())
    nova_recovery.settle(services["nova-conductor"].manager.compute_task_mgr)
