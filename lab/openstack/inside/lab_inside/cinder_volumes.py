"""Volumes without bytes."""

from __future__ import annotations

from typing import Any

from cinder.volume import driver

CAPACITY_GB = 100_000


class LabVolumeDriver(driver.VolumeDriver):
    """Says that every operation on a volume succeeded; what Cinder records is all there is of it."""

    VERSION = "1"

    def _nothing(self, *_args: Any, **_more: Any) -> None:
        """There is no volume to act on."""

    check_for_setup_error = create_volume = delete_volume = extend_volume = _nothing
    create_snapshot = delete_snapshot = create_volume_from_snapshot = create_cloned_volume = _nothing
    ensure_export = create_export = remove_export = terminate_connection = copy_image_to_volume = _nothing

    def clone_image(self, *_args: Any) -> tuple[dict[str, Any], bool]:
        """Says that an image was copied within the storage: nothing is downloaded or converted."""
        return {}, True

    def initialize_connection(self, *_args: Any) -> dict[str, Any]:
        """Where a server finds the volume: nowhere."""
        return {"driver_volume_type": "fake", "data": {}}

    def _update_volume_stats(self) -> None:
        self._stats = {
            "volume_backend_name": "lab",
            "vendor_name": "lab",
            "driver_version": self.VERSION,
            "storage_protocol": "fake",
            "pools": [
                {
                    "pool_name": "lab",
                    "total_capacity_gb": CAPACITY_GB,
                    "free_capacity_gb": CAPACITY_GB,
                    "provisioned_capacity_gb": 0,
                    "reserved_percentage": 0,
                    "max_over_subscription_ratio": 20,
                    "thin_provisioning_support": True,
                    "multiattach": True,
                }
            ],
        }
