"""Volumes of users' homes and of the hub's database."""

from __future__ import annotations

from components.hub_values import Values


def storage_values(*, storage_class: str, home_gib: int, hub_database_gib: int) -> Values:
    """A volume for each user's home, and one for the hub.

    Args:
        storage_class: the Kubernetes storage class of all of them.
        home_gib: size of a home.
        hub_database_gib: size of the database's volume.
    """
    return {
        "hub": {
            "db": {
                "type": "sqlite-pvc",
                "pvc": {"storage": f"{hub_database_gib}Gi", "storageClassName": storage_class},
            }
        },
        "singleuser": {
            "storage": {
                "type": "dynamic",
                "capacity": f"{home_gib}Gi",
                "dynamic": {"storageClass": storage_class},
            }
        },
    }
