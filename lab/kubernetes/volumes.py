"""Persistent volumes: Cinder volumes for claims, as Jetstream2's Cinder CSI driver makes them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from lab.kubernetes import quantities
from lab.kubernetes.api import ApiError, Object
from lab.kubernetes.cloud import CloudError
from lab.kubernetes.site import Site

PROVISIONER = "cinder.csi.openstack.org"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"
CLASS_NAME = "default"
RETRY_SECONDS = 5.0


class Volumes:
    """Keeps the Cinder volumes of one cluster's claims."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._classes: dict[str, Object] = {}
        self._asked: dict[str, Object] = {}
        self._retry_at: dict[str, float] = {}

    def install(self) -> None:
        """Makes the storage class and the driver object that Jetstream2's clusters come with."""
        for path, body in (
            (CLASSES, storage_class(self._site.wanted.reclaim_policy, self._site.wanted.volume_expansion)),
            (DRIVERS, CSI_DRIVER),
        ):
            try:
                self._site.api.create(path, body)
            except ApiError as error:
                if not error.is_conflict:
                    raise

    def keep(self) -> None:
        """One round: provisions, grows and removes what has to be."""
        # Asked for anew each round: a class that was replaced holds for the next volume.
        self._classes.clear()
        volumes = {item["metadata"]["name"]: item for item in self._site.volumes.objects()}
        claims = self._site.claims.objects()
        for claim in claims:
            self._guarded(claim, "ProvisioningFailed", functools.partial(self._keep_claim, claim, volumes))
        for volume in volumes.values():
            if _is_ours(volume):
                self._guarded(volume, "VolumeFailedDelete", functools.partial(self._keep_volume, volume))
        for name in self._asked.keys() - {_volume_name(claim) for claim in claims}:
            self._guarded(self._asked[name], "ProvisioningFailed", functools.partial(self._take_back, name))

    def _guarded(self, about: Object, reason: str, act: Callable[[], None]) -> None:
        """Lets one object's trouble neither stop the others' work nor be repeated every round."""
        uid = about["metadata"]["uid"]
        if time.monotonic() < self._retry_at.get(uid, 0.0):
            return
        try:
            act()
        except CloudError as error:
            self._retry_at[uid] = time.monotonic() + RETRY_SECONDS
            kind = "PersistentVolumeClaim" if reason == "ProvisioningFailed" else "PersistentVolume"
            self._site.log.warning("%s %s: %s", kind, about["metadata"]["name"], error)
            self._site.emit({**about, "kind": kind}, reason, str(error), source=PROVISIONER, warning=True)

    # Claims ---------------------------------------------------------------------------------------

    def _keep_claim(self, claim: Object, volumes: dict[str, Object]) -> None:
        if "deletionTimestamp" in claim["metadata"]:
            return
        bound_to = claim["spec"].get("volumeName")
        if bound_to:
            volume = volumes.get(bound_to)
            if volume is not None and _is_ours(volume) and claim["status"].get("phase") == "Bound":
                self._grow(claim, volume)
            return
        storage_class = self._class(claim)
        if storage_class is None or _volume_name(claim) in volumes:
            return
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        if waits and SELECTED_NODE not in claim["metadata"].get("annotations", {}):
            return
        self._provision(claim, storage_class)

    def _provision(self, claim: Object, storage_class: Object) -> None:
        name = _volume_name(claim)
        self._asked[name] = claim
        size = quantities.gibibytes(quantities.parse(claim["spec"]["resources"]["requests"]["storage"]))
        made = self._site.cloud.volume_named(name)
        about = {**claim, "kind": "PersistentVolumeClaim"}
        if made is None:
            metadata = {
                "cinder.csi.openstack.org/cluster": self._site.wanted.uuid,
                "csi.storage.k8s.io/pvc/name": claim["metadata"]["name"],
                "csi.storage.k8s.io/pvc/namespace": claim["metadata"]["namespace"],
                "csi.storage.k8s.io/pv/name": name,
            }
            description = "Created by OpenStack Cinder CSI driver"
            self._site.cloud.create_volume(name, size, description, metadata)
            self._site.log.info("volume %s (%d GiB) asked for", name, size)
            message = "External provisioner is provisioning volume for claim"
            self._site.emit(about, "Provisioning", message, source=PROVISIONER)
        elif made["status"] == "error":
            self._site.cloud.delete_volume(made["id"])
            raise CloudError(500, f"Cinder volume {name} ended in status error and is made again.")
        elif made["status"] == "available":
            self._create_volume(claim, storage_class, name, made)
            del self._asked[name]
            self._site.emit(
                about, "ProvisioningSucceeded", f"Successfully provisioned volume {name}", source=PROVISIONER
            )

    def _take_back(self, name: str) -> None:
        """Deletes a volume whose claim went before it had a PersistentVolume: nobody else knows of it."""
        made = self._site.cloud.volume_named(name)
        if made is not None and made["status"] == "creating":
            return
        if made is not None:
            self._site.cloud.delete_volume(made["id"])
            self._site.log.info("volume %s deleted: its claim is gone", name)
        del self._asked[name]

    def _create_volume(self, claim: Object, storage_class: Object, name: str, made: Object) -> None:
        policy = storage_class.get("reclaimPolicy", "Delete")
        finalizers = [FINALIZER] if policy == "Delete" else []
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {PROVISIONED_BY: PROVISIONER},
                "finalizers": finalizers,
            },
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": f"{made['size']}Gi"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": claim["metadata"]["name"],
                    "namespace": claim["metadata"]["namespace"],
                    "uid": claim["metadata"]["uid"],
                },
                "csi": {"driver": PROVISIONER, "fsType": "ext4", "volumeHandle": made["id"]},
                "persistentVolumeReclaimPolicy": policy,
                "storageClassName": storage_class["metadata"]["name"],
                "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            },
        }
        try:
            self._site.api.create("/api/v1/persistentvolumes", body)
        except ApiError as error:
            if not error.is_conflict:
                raise

    def _grow(self, claim: Object, volume: Object) -> None:
        wanted = quantities.parse(claim["spec"]["resources"]["requests"]["storage"])
        name = volume["metadata"]["name"]
        if wanted > quantities.parse(volume["spec"]["capacity"]["storage"]):
            size = quantities.gibibytes(wanted)
            made = self._site.cloud.volume(volume["spec"]["csi"]["volumeHandle"])
            if made is None:
                raise CloudError(404, f"Cinder has no volume {volume['spec']['csi']['volumeHandle']}.")
            if made["size"] < size:
                if made["status"] in ("available", "in-use"):
                    self._site.cloud.extend_volume(made["id"], size)
                    self._site.log.info("volume %s grows to %d GiB", name, size)
                return
            grown = {"spec": {"capacity": {"storage": f"{made['size']}Gi"}}}
            self._site.api.patch(f"/api/v1/persistentvolumes/{name}", grown)
            return
        if wanted > quantities.parse(claim["status"].get("capacity", {}).get("storage", "0")):
            path = (
                f"/api/v1/namespaces/{claim['metadata']['namespace']}"
                f"/persistentvolumeclaims/{claim['metadata']['name']}/status"
            )
            self._site.api.patch(path, {"status": {"capacity": volume["spec"]["capacity"]}})

    def _class(self, claim: Object) -> Object | None:
        """The claim's storage class, if it is one of ours."""
        name = claim["spec"].get("storageClassName")
        if not name:
            return None
        if name not in self._classes:
            found = self._site.api.get(f"{CLASSES}/{name}")
            if found is None:
                return None
            self._classes[name] = found
        storage_class = self._classes[name]
        return storage_class if storage_class["provisioner"] == PROVISIONER else None

    # Volumes that are no longer claimed -------------------------------------------------------------

    def _keep_volume(self, volume: Object) -> None:
        is_going = "deletionTimestamp" in volume["metadata"]
        if volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete":
            if is_going:
                self._release(volume)
            return
        phase = volume.get("status", {}).get("phase")
        if phase != "Released" and not (is_going and phase != "Bound"):
            return
        handle = volume["spec"]["csi"]["volumeHandle"]
        if self._site.cloud.volume(handle) is not None:
            self._site.cloud.delete_volume(handle)
            self._site.log.info("volume %s deleted", volume["metadata"]["name"])
            return
        self._release(volume)
        if not is_going:
            self._site.api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")

    def _release(self, volume: Object) -> None:
        finalizers = volume["metadata"].get("finalizers", [])
        if FINALIZER in finalizers:
            left = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
            body = {
                "metadata": {
                    "finalizers": left,
                    # Refused if somebody has changed the object meanwhile; the next round looks again.
                    "resourceVersion": volume["metadata"]["resourceVersion"],
                }
            }
            try:
                self._site.api.patch(f"/api/v1/persistentvolumes/{volume['metadata']['name']}", body)
            except ApiError as error:
                if not error.is_conflict:
                    raise


def storage_class(reclaim_policy: str, expansion: bool) -> Object:
    """The default storage class; Retain unless the cluster's label ``csi_cinder_reclaim_policy`` differs."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS_NAME,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": reclaim_policy,
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": expansion,
    }


CSI_DRIVER: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": PROVISIONER},
    "spec": {"attachRequired": True, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent"]},
}


def _volume_name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _is_ours(volume: Object) -> bool:
    return bool((volume["spec"].get("csi") or {}).get("driver") == PROVISIONER)
