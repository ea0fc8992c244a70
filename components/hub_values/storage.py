"""Volumes of users' homes, of the shared drive and of the hub's database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from components.hub_values import Values
from components.hub_values.start_commands import SHARE

HOME = "/home/jovyan"
"""Where servers see the home: Jupyter's images have their user there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HomeVolumes:
    """A volume for each user.

    Attributes:
        storage_class: the Kubernetes storage class that makes them.
        gib: size of each.
    """

    storage_class: str
    gib: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedHomes:
    """One volume for all, with a folder for each user, which a server of files gives to that user.

    Attributes:
        source: the volume's source as in a pod's ``volumes``, such as ``{"nfs": {...}}``.
    """

    source: Mapping[str, object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedDrive:
    """The drive that all users see.

    Attributes:
        source: the volume's source as in a pod's ``volumes``, such as ``{"nfs": {...}}``.
        writable: whether users may write.
    """

    source: Mapping[str, object]
    writable: bool


def storage_values(
    *,
    homes: HomeVolumes | SharedHomes,
    shared_drive: SharedDrive | None,
    database_storage_class: str,
    hub_database_gib: int,
) -> Values:
    """Homes, the shared drive, and the volume of the hub's database.

    Args:
        homes: a volume for each user, or one for all.
        shared_drive: None for none.
        database_storage_class: for the database's volume.
        hub_database_gib: its size.
    """
    storage: Values = {"homeMountPath": HOME}
    # By name, the chart's other form, so that a layer of values can change one of them.
    volumes: Values = {}
    mounts: Values = {}
    if isinstance(homes, HomeVolumes):
        storage["type"] = "dynamic"
        storage["capacity"] = f"{homes.gib}Gi"
        storage["dynamic"] = {"storageClass": homes.storage_class}
    else:
        # The chart's own form for a shared volume takes a claim only.
        storage["type"] = "none"
        volumes["home"] = {"name": "home", **homes.source}
        mounts["home"] = {"name": "home", "mountPath": HOME, "subPath": "{username}"}
    if shared_drive is not None:
        volumes["share"] = {"name": "share", **shared_drive.source}
        mounts["share"] = {"name": "share", "mountPath": SHARE, "readOnly": not shared_drive.writable}
    if volumes:
        storage["extraVolumes"] = volumes
        storage["extraVolumeMounts"] = mounts
    return {
        "hub": {
            "db": {
                "type": "sqlite-pvc",
                "pvc": {"storage": f"{hub_database_gib}Gi", "storageClassName": database_storage_class},
            }
        },
        "singleuser": {"storage": storage},
    }
