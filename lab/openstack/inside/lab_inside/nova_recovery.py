"""What Nova was doing when it was killed, settled at its next start.

Nova's services hand work to one another by messages in memory, which a kill takes with it. The compute
service itself puts right the servers that had reached a host; those that had not would stay in BUILD, or
in the middle of coming back from the shelf, for ever. Nothing is under way yet when this runs, so all
that looks under way is left over.
"""

from __future__ import annotations

from typing import Any

from nova import context, objects
from nova.compute import task_states, vm_states
from nova.conductor.manager import ComputeTaskManager
from nova.exception import InstanceMappingNotFound, NovaException
from oslo_log import log

LOG = log.getLogger(__name__)

INTERRUPTED = "Nova was stopped before this server had a host. Delete it and create it again."

SHELF_STATES = {
    task_states.SHELVING,
    task_states.SHELVING_IMAGE_PENDING_UPLOAD,
    task_states.SHELVING_IMAGE_UPLOADING,
    task_states.SHELVING_OFFLOADING,
    task_states.UNSHELVING,
}


def settle(conductor: ComputeTaskManager) -> None:
    """Ends what no service remembers: unfinished creations in ERROR, other tasks as if never asked for."""
    admin = context.get_admin_context()
    for cell in objects.CellMappingList.get_all(admin):
        if not cell.is_cell0():
            with context.target_cell(admin, cell) as target:
                for instance in objects.InstanceList.get_all(target):
                    _settle_instance(instance, is_mapped_here=_cell_of(admin, instance.uuid) == cell.uuid)
    for request in objects.BuildRequestList.get_all(admin):
        _settle_request(admin, conductor, request)


def _settle_instance(instance: Any, is_mapped_here: bool) -> None:
    if instance.host is None and not is_mapped_here:
        # Recorded in the cell, but not as being there: its build request, or cell0, stands for it.
        instance.destroy()
    elif instance.host is None and instance.vm_state == vm_states.BUILDING:
        LOG.warning("%s (%s)", INTERRUPTED, instance.uuid)
        instance.vm_state = vm_states.ERROR
        instance.task_state = None
        instance.save()
    elif instance.task_state in SHELF_STATES or (instance.task_state and instance.host is None):
        LOG.warning("Nova was stopped while server %s was %s", instance.uuid, instance.task_state)
        instance.task_state = None
        instance.save()


def _settle_request(admin: Any, conductor: ComputeTaskManager, request: Any) -> None:
    if _cell_of(admin, request.instance_uuid) is not None:
        request.destroy()
        return
    specification = objects.RequestSpec.get_by_instance_uuid(admin, request.instance_uuid)
    # Where Nova keeps servers that it could not place.
    conductor._bury_in_cell0(admin, specification, NovaException(INTERRUPTED), build_requests=[request])


def _cell_of(admin: Any, uuid: str) -> str | None:
    """The UUID of the cell that a server is recorded to be in, or None."""
    try:
        cell = objects.InstanceMapping.get_by_instance_uuid(admin, uuid).cell_mapping
    except InstanceMappingNotFound:
        return None
    return str(cell.uuid) if cell else None
