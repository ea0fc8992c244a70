"""Storage that is there before the hub: the shared drive and shared homes, as the settings want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.home_storage import HomeStorage, HomeStorageArgs
from components.hub_namespace import Claimed
from components.manila_drive import ManilaDrive, ManilaDriveArgs
from components.shared_drive import SharedDrive, SharedDriveArgs
from stacks import charts
from stacks.settings import Settings

STORAGE_CLASS = "gateway"
"""The class of all Cinder volumes that are made in the cluster."""

SHARE_CLAIM, HOMES_CLAIM = "share", "homes"

Source = Mapping[str, object]
"""A volume's source as in a pod's ``volumes``."""


def shared_drive(
    settings: Settings, prefix: str, opts: pulumi.ResourceOptions, *, after: Sequence[pulumi.Resource]
) -> SharedDrive | ManilaDrive | None:
    """The drive that all users see, if the settings have one."""
    drive, retain = settings.storage.shared_drive, settings.storage.reclaim_policy == "Retain"
    if drive is None:
        return None
    if drive.kind == "manila":
        return ManilaDrive(
            "shared-drive",
            ManilaDriveArgs(
                share_name=f"{prefix}-share",
                size_gib=drive.size_gib,
                writable=drive.writable,
                protect=settings.production,
                retain=retain,
                after=after,
            ),
            opts,
        )
    return SharedDrive(
        "shared-drive",
        SharedDriveArgs(
            volume_name=f"{prefix}-share",
            size_gib=drive.size_gib,
            writable=drive.writable,
            storage_class=STORAGE_CLASS,
            protect=settings.production,
            retain=retain,
            after=after,
        ),
        opts,
    )


def home_storage(
    settings: Settings, prefix: str, opts: pulumi.ResourceOptions, *, after: Sequence[pulumi.Resource]
) -> HomeStorage | None:
    """The one volume of all homes, if the settings do not give each user one."""
    storage = settings.storage
    if storage.homes == "volume" or storage.homes_volume_gib is None:
        return None
    source = charts.source(settings.charts.home_nfs)
    return HomeStorage(
        "homes",
        HomeStorageArgs(
            volume_name=f"{prefix}-homes",
            size_gib=storage.homes_volume_gib,
            quota_gib=storage.home_gib,
            chart=source.chart,
            repository=source.repository,
            version=source.version,
            protect=settings.production,
            retain=storage.reclaim_policy == "Retain",
            after=after,
        ),
        opts,
    )


def claims(
    settings: Settings, drive: SharedDrive | ManilaDrive | None, homes: HomeStorage | None
) -> dict[str, Claimed]:
    """What the hub's namespace claims of volumes that are there before it."""
    made = {}
    if isinstance(drive, ManilaDrive) and settings.storage.shared_drive is not None:
        made[SHARE_CLAIM] = Claimed(
            volume=drive.persistent_volume, size_gib=settings.storage.shared_drive.size_gib
        )
    if homes is not None and settings.storage.homes_volume_gib is not None:
        made[HOMES_CLAIM] = Claimed(
            volume=homes.persistent_volume, size_gib=settings.storage.homes_volume_gib
        )
    return made


def drive_source(drive: SharedDrive | ManilaDrive | None) -> Source | None:
    """What users' pods mount as the shared drive."""
    if drive is None:
        return None
    return drive.source if isinstance(drive, SharedDrive) else _claim_source(SHARE_CLAIM)


def homes_source(homes: HomeStorage | None) -> Source | None:
    """What users' pods mount a folder of as the home."""
    return None if homes is None else _claim_source(HOMES_CLAIM)


def _claim_source(claim: str) -> Source:
    return {"persistentVolumeClaim": {"claimName": claim}}


def kept_after_destroy(settings: Settings, prefix: str) -> list[str]:
    """What `pulumi destroy` leaves in the cloud because the settings say Retain, each by name."""
    storage = settings.storage
    if storage.reclaim_policy == "Delete":
        return []
    # Only the cluster knows the names of homes that are volumes; as it goes, `operations.reclaim` says them.
    homes = ", and those of homes," if storage.homes == "volume" else ""
    kept = [f"the hub's volumes{homes} of storage class {STORAGE_CLASS}"]
    if storage.shared_drive is not None:
        kept.append(f"the shared drive {prefix}-share")
    if storage.homes == "shared":
        kept.append(f"the homes {prefix}-homes")
    return kept
