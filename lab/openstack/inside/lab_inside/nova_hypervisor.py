"""Nova's own fake hypervisor, made to outlive a restart of its process."""

from __future__ import annotations

import io
from typing import Any, ClassVar

from nova.compute import power_state
from nova.image import glance
from nova.virt import fake

POWER_STATES = (
    power_state.RUNNING,
    power_state.PAUSED,
    power_state.SHUTDOWN,
    power_state.SUSPENDED,
    power_state.CRASHED,
)

SNAPSHOT = b"A snapshot of a server of the lab: its disk never had any bytes.\n"


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    """Guests that survive a restart, and snapshots that reach Glance, so that a shelved image is active.

    Built on the driver that keeps its node's identity in a file, as a real hypervisor does.
    """

    capabilities: ClassVar = {
        **fake.FakeDriver.capabilities,
        "supports_migrate_to_same_host": True,
        "supports_image_type_qcow2": True,
    }

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """A guest's state; one that only the database remembers is put back as it was."""
        if instance.uuid not in self.instances and instance.power_state in POWER_STATES:
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state, instance.uuid
            )
        return super().get_info(instance, use_cache)

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Uploads a few bytes as the snapshot; the fake driver of Nova uploads nothing."""
        super().snapshot(context, instance, image_id, update_task_state)
        glance.API().update(
            context,
            image_id,
            {
                "disk_format": "raw",
                "container_format": "bare",
                "properties": {"image_location": "snapshot", "image_state": "available"},
            },
            data=io.BytesIO(SNAPSHOT),
        )
