"""The shared drive, shared homes and the hub's backup: what they declare, in which order, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_command
import pulumi_kubernetes
import pulumi_openstack
import pytest

from components.home_storage import HomeStorage, HomeStorageArgs
from components.hub_backup import HubBackup, HubBackupArgs
from components.hub_namespace import Claimed, HubNamespace, HubNamespaceArgs
from components.manila_drive import Export, ManilaDrive, ManilaDriveArgs, export_of
from components.shared_drive import SharedDrive, SharedDriveArgs, ganesha
from tests.unit.recording import Run, run

CORE = {"capi.stackhpc.com/node-group": "default-worker"}
TOLERATION = {
    "key": "hub.jupyter.org/dedicated",
    "operator": "Equal",
    "value": "core",
    "effect": "NoSchedule",
}
VOLUME = "openstack:blockstorage/volume:Volume"


def inside(program: Callable[[pulumi.ResourceOptions, pulumi.Resource], None]) -> Run:
    """Runs a program with all providers, and a resource to come after."""

    def whole() -> None:
        providers = [
            pulumi_openstack.Provider("cloud"),
            pulumi_kubernetes.Provider("kubernetes"),
            pulumi_command.Provider("command"),
        ]
        guard = pulumi_command.local.Command("guard", delete="true")
        program(pulumi.ResourceOptions(providers=providers), guard)

    return run(whole)


def drive(*, writable: bool = False, protect: bool = False, retain: bool = False) -> Run:
    def program(opts: pulumi.ResourceOptions, guard: pulumi.Resource) -> None:
        made = SharedDrive(
            "drive",
            SharedDriveArgs(
                volume_name="gateway-test-share",
                size_gib=300,
                writable=writable,
                storage_class="gateway",
                protect=protect,
                retain=retain,
                after=[guard],
            ),
            opts,
        )
        pulumi.export("source", made.source)
        pulumi.export("volume_id", made.volume_id)

    return inside(program)


def homes(*, protect: bool = False) -> Run:
    def program(opts: pulumi.ResourceOptions, guard: pulumi.Resource) -> None:
        made = HomeStorage(
            "homes",
            HomeStorageArgs(
                volume_name="gateway-test-homes",
                size_gib=500,
                quota_gib=10,
                chart="oci://example.org/jupyterhub-home-nfs",
                repository=None,
                version="1.2.0",
                protect=protect,
                retain=False,
                after=[guard],
            ),
            opts,
        )
        namespace = HubNamespace(
            "hub",
            HubNamespaceArgs(
                namespace="jhub",
                claims={"homes": Claimed(volume=made.persistent_volume, size_gib=500)},
                protect=protect,
                after=[guard, made],
            ),
            opts,
        )
        pulumi.export("namespace", namespace.namespace)

    return inside(program)


def backup(*, chart: str = "4.4.0", protect: bool = False) -> Run:
    def program(opts: pulumi.ResourceOptions, guard: pulumi.Resource) -> None:
        made = HubBackup(
            "backup",
            HubBackupArgs(
                namespace="jhub",
                kubeconfig=pulumi.Output.secret("raw-kubeconfig"),
                program="print('hello')",
                image="example.org/hub:4.4.0",
                schedule="17 3 * * *",
                keep=14,
                size_gib=5,
                storage_class="gateway",
                releases=[chart, "jupyterhub"],
                protect=protect,
            ),
            opts,
        )
        pulumi_command.local.Command(
            "release",
            create="true",
            opts=pulumi.ResourceOptions(depends_on=[made.before_upgrade]),
        )

    return inside(program)


def pod_of(found: Run, name: str) -> dict[str, Any]:
    spec = found.one(name).inputs["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    pod: dict[str, Any] = template["spec"]
    return pod


# The shared drive


def test_the_drive_is_the_programs_own_volume_and_kubernetes_only_uses_it() -> None:
    found = drive()
    volume = found.one("drive-volume")
    assert volume.type == VOLUME
    assert (volume.inputs["name"], volume.inputs["size"]) == ("gateway-test-share", 300)
    spec = found.one("drive-persistent-volume").inputs["spec"]
    assert spec["csi"]["volumeHandle"] == "drive-volume-id"
    assert spec["persistentVolumeReclaimPolicy"] == "Retain", "the driver would delete what is not its own"
    claim = found.one("drive-claim").inputs["spec"]
    assert claim["storageClassName"] == spec["storageClassName"] == "gateway"
    assert "drive-persistent-volume" in found.one("drive-claim").depends_on


def test_pods_mount_an_address_that_nobody_has_pasted() -> None:
    assert drive().outputs["source"] == {"nfs": {"server": "172.24.0.9", "path": "/"}}


def test_the_drive_outlives_the_hubs_namespace() -> None:
    """Else users' pods would hang in a mount whose server is gone."""
    found = drive()
    namespace = found.one("drive-namespace").inputs["metadata"]["name"]
    assert namespace == "shared-drive"
    for name in ("drive-server", "drive-service", "drive-claim", "drive-config"):
        assert found.one(name).inputs["metadata"]["namespace"] == namespace


def test_the_drive_is_deleted_before_the_guard() -> None:
    found = drive()
    for name in ("drive-volume", "drive-namespace"):
        assert "guard" in found.one(name).depends_on


def test_the_drives_server_is_on_the_core_node_and_not_privileged() -> None:
    pod = pod_of(drive(), "drive-server")
    assert pod["nodeSelector"] == CORE
    assert pod["tolerations"] == [TOLERATION]
    (server,) = pod["containers"]
    assert server["securityContext"] == {"capabilities": {"add": ["DAC_READ_SEARCH"]}}
    assert server["resources"]["requests"]
    assert "mkdir -p /export/raw" in pod["initContainers"][0]["command"][-1]
    assert ":" in server["image"].rpartition("/")[2]
    assert not server["image"].endswith(":latest")


def test_who_may_write_is_decided_by_the_server() -> None:
    assert "Access_Type = RO;" in ganesha(writable=False)
    assert "Access_Type = RW;" in ganesha(writable=True)


def test_a_changed_right_to_write_restarts_the_server() -> None:
    def mark(found: Run) -> str:
        volumes = {volume["name"]: volume for volume in pod_of(found, "drive-server")["volumes"]}
        return str(volumes["config"]["configMap"]["name"])

    assert mark(drive()) == mark(drive())
    assert mark(drive()) != mark(drive(writable=True))


@pytest.mark.parametrize(("protect", "retain"), [(True, False), (False, True), (False, False)])
def test_only_what_is_to_be_kept_is_kept(protect: bool, retain: bool) -> None:
    found = drive(protect=protect, retain=retain)
    protected = [each.name for each in found.registered if each.request.protect]
    retained = [each.name for each in found.registered if each.request.retainOnDelete]
    assert protected == (["drive-volume"] if protect else [])
    assert retained == (["drive-volume"] if retain else [])


# Homes


def test_homes_have_a_quota_each_on_one_volume() -> None:
    found = homes()
    release = found.one("homes-release").inputs
    assert (release["chart"], release["version"]) == ("oci://example.org/jupyterhub-home-nfs", "1.2.0")
    values = release["values"]
    assert values["openstack"] == {"enabled": True, "volumeId": "homes-volume-id"}
    assert values["quotaEnforcer"]["config"]["QuotaManager"]["hard_quota"] == 10
    assert (values["nodeSelector"], values["tolerations"]) == (CORE, [TOLERATION])
    for container in ("nfsServer", "quotaEnforcer", "autoResizer", "prometheusExporter"):
        assert set(values[container]["resources"]["requests"]) == {"cpu", "memory"}


def test_homes_are_mounted_by_the_address_of_a_service_that_stays() -> None:
    found = homes()
    service = found.one("homes-service").inputs["spec"]
    assert service["selector"] == {"app": "nfs-server"}
    volume = found.one("homes-persistent-volume").inputs["spec"]
    assert volume["nfs"] == {"server": "172.24.0.9", "path": "/"}
    assert "hard" in volume["mountOptions"]


def test_the_claim_goes_with_the_hubs_namespace_and_the_server_after_it() -> None:
    found = homes()
    claim = found.one("hub-homes")
    assert claim.inputs["metadata"] == {"name": "homes", "namespace": "jhub"}
    assert claim.request.deletedWith.endswith("::hub-namespace")
    assert {"guard", "homes-release", "homes-service", "homes-volume"} <= set(
        found.one("hub-namespace").depends_on
    )


def test_protected_homes_are_the_volume_and_the_namespace() -> None:
    found = homes(protect=True)
    assert {each.name for each in found.registered if each.request.protect} == {
        "homes-volume",
        "hub-namespace",
    }


# Manila. That a node can mount it, only a cloud with Manila can show.


def test_a_share_is_mounted_by_what_manila_says_of_it() -> None:
    def program(opts: pulumi.ResourceOptions, guard: pulumi.Resource) -> None:
        ManilaDrive(
            "drive",
            ManilaDriveArgs(
                share_name="gateway-test-share",
                size_gib=50,
                writable=False,
                protect=True,
                retain=False,
                after=[guard],
            ),
            opts,
        )

    found = inside(program)
    assert found.one("drive-access").inputs["accessLevel"] == "ro"
    assert found.one("drive-access").request.additionalSecretOutputs == ["accessKey"], "by the SDK"
    secret = found.one("drive-key").inputs
    assert "a-share-key" not in str({key: value for key, value in secret.items() if key != "stringData"})
    assert "secret" in str(secret["stringData"])
    csi = found.one("drive-persistent-volume").inputs["spec"]["csi"]
    assert csi["volumeAttributes"]["rootPath"] == "/volumes/_nogroup/abc"
    assert csi["volumeHandle"] == "drive-share-id"
    driver = found.one("drive-driver").inputs["values"]
    provisioner = driver["provisioner"]
    assert (provisioner["nodeSelector"], provisioner["tolerations"]) == (CORE, [TOLERATION])
    for container in ("provisioner", "resizer", "snapshotter"):
        assert set(provisioner[container]["resources"]["requests"]) == {"cpu", "memory"}
    (ceph,) = driver["csiConfig"]
    assert ceph["monitors"] == ["192.0.2.1:6789", "192.0.2.2:6789"]
    assert ceph["clusterID"] == csi["volumeAttributes"]["clusterID"]
    assert [each.name for each in found.registered if each.request.protect] == ["drive-share"]


def test_export_locations_are_read_or_refused() -> None:
    assert export_of(["a:6789,b:6789:/volumes/x"]) == Export(monitors=["a:6789", "b:6789"], path="/volumes/x")
    assert export_of(["[fd00::1]:6789:/x"]).monitors == ["[fd00::1]:6789"]
    for none in ([], ["nonsense"], [":/x"]):
        with pytest.raises(ValueError, match="no export location"):
            export_of(none)


# The backup


def test_the_database_is_copied_on_its_own_node_without_rights() -> None:
    found = backup()
    spec = found.one("backup-cron-job").inputs["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (
        "17 3 * * *",
        "Etc/UTC",
        "Forbid",
    )
    pod = pod_of(found, "backup-cron-job")
    assert (pod["nodeSelector"], pod["tolerations"]) == (CORE, [TOLERATION])
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["database"]["readOnly"] is True
    assert not mounts["copies"].get("readOnly")
    claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]]
    assert claims[:2] == ["hub-db-dir", "hub-backup"]


def test_an_upgrade_waits_for_the_copy() -> None:
    found = backup()
    assert "backup-before-upgrade" in found.one("release").depends_on
    assert "backup-cron-job" in found.one("backup-before-upgrade").depends_on


def test_a_copy_is_made_when_the_release_changes() -> None:
    triggers = [backup(chart=chart).one("backup-before-upgrade").inputs["triggers"] for chart in ("4", "5")]
    assert triggers == [["4", "jupyterhub"], ["5", "jupyterhub"]]


def test_credentials_are_no_arguments() -> None:
    command = backup().one("backup-before-upgrade").inputs
    assert "raw-kubeconfig" not in command["create"]
    assert "secret" in str(command["environment"])


def test_copies_are_protected_with_the_gateway() -> None:
    assert [each.name for each in backup(protect=True).registered if each.request.protect] == ["backup-claim"]
    assert not [each for each in backup().registered if each.request.protect]
