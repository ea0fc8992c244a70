"""Volumes of claims: made by the storage class as it is now; none is left that nobody knows."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.kubernetes.api import ApiError
from lab.kubernetes.site import Site
from lab.kubernetes.volumes import CLASSES, PROVISIONER, Volumes, storage_class

Object = dict[str, Any]
VOLUMES = "/api/v1/persistentvolumes"


class FakeSite:
    """A cluster's objects and Cinder's volumes, of which each takes one round to be made."""

    def __init__(self) -> None:
        self.claims_there: list[Object] = []
        self.volumes_there: dict[str, Object] = {}
        self.classes: dict[str, Object] = {"gateway": {**storage_class("Delete", True)}}
        self.classes["gateway"]["metadata"] = {"name": "gateway"}
        self.made: dict[str, Object] = {}
        self.wanted = SimpleNamespace(uuid="cluster")
        self.claims = SimpleNamespace(objects=lambda: list(self.claims_there))
        self.volumes = SimpleNamespace(objects=lambda: list(self.volumes_there.values()))
        self.api = self
        self.cloud = self
        self.log = logging.LoggerAdapter(logging.getLogger("test"), {})

    # The API server

    def get(self, path: str) -> Object | None:
        return self.classes.get(path.removeprefix(f"{CLASSES}/"))

    def create(self, path: str, body: Object) -> Object:
        assert path == VOLUMES
        name = body["metadata"]["name"]
        if name in self.volumes_there:
            raise ApiError(409, "it is there")
        self.volumes_there[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}}
        return body

    def emit(self, *_: object, **__: object) -> None:
        pass

    # Cinder

    def volume_named(self, name: str) -> Object | None:
        found = self.made.get(name)
        answer = dict(found) if found else None
        if found:
            found["status"] = "available"
        return answer

    def create_volume(self, name: str, size: int, _description: str, _metadata: Object) -> None:
        self.made[name] = {"id": f"id-{name}", "name": name, "size": size, "status": "creating"}

    def delete_volume(self, identifier: str) -> None:
        self.made = {name: item for name, item in self.made.items() if item["id"] != identifier}


def claim(uid: str) -> Object:
    return {
        "metadata": {
            "name": f"home-{uid}",
            "namespace": "jupyterhub",
            "uid": uid,
            "annotations": {"volume.kubernetes.io/selected-node": "node"},
        },
        "spec": {
            "storageClassName": "gateway",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
        },
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


@pytest.fixture
def volumes(site: FakeSite) -> Volumes:
    return Volumes(cast("Site", site))


def test_a_class_that_was_replaced_holds_for_the_next_claim(site: FakeSite, volumes: Volumes) -> None:
    policies = {}
    for uid, policy in (("first", "Delete"), ("second", "Retain")):
        site.classes["gateway"]["reclaimPolicy"] = policy
        site.claims_there = [claim(uid)]
        for _ in range(3):
            volumes.keep()
        policies[uid] = site.volumes_there[f"pvc-{uid}"]["spec"]["persistentVolumeReclaimPolicy"]
    assert policies == {"first": "Delete", "second": "Retain"}


def test_a_claim_that_goes_before_its_volume_leaves_nothing_in_cinder(
    site: FakeSite, volumes: Volumes
) -> None:
    site.claims_there = [claim("short")]
    volumes.keep()
    assert list(site.made) == ["pvc-short"]

    site.claims_there = []
    for _ in range(3):
        volumes.keep()

    assert site.made == {}
    assert site.volumes_there == {}


def test_a_volume_that_was_handed_over_is_kept_when_its_claim_goes(site: FakeSite, volumes: Volumes) -> None:
    """What becomes of it is for its reclaim policy, also while the copy of the volumes is behind."""
    site.claims_there = [claim("kept")]
    for _ in range(3):
        volumes.keep()
    assert site.volumes_there["pvc-kept"]["spec"]["csi"]["driver"] == PROVISIONER

    site.claims_there, site.volumes_there = [], {}
    volumes.keep()

    assert list(site.made) == ["pvc-kept"]
