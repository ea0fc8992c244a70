"""Properties that cannot change while an object lives: the published plugin's table."""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.settings import Settings

_IDENTITY = ("kind", "metadata.name", "metadata.namespace")

_CONTAINER = (  # noqa: SIM905
    "args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources "
    "securityContext stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices "
    "volumeMounts workingDir"
).split()
_POD = (  # noqa: SIM905
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC "
    "hostNetwork hostPID hostname imagePullSecrets nodeName nodeSelector overhead preemptionPolicy priority "
    "priorityClassName readinessGates restartPolicy runtimeClassName schedulerName securityContext "
    "serviceAccount serviceAccountName shareProcessNamespace subdomain terminationGracePeriodSeconds volumes"
).split()
_VOLUME_SOURCES = (  # noqa: SIM905
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk "
    "glusterfs hostPath iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos "
    "vsphereVolume"
).split()


def _spec(*names: str) -> tuple[str, ...]:
    return tuple(f"spec.{name}" for name in names)


_FORCED: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "DaemonSet"): _spec("selector"),
    ("apps", "Deployment"): _spec("selector"),
    ("apps", "StatefulSet"): _spec(
        "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates"
    ),
    ("batch", "Job"): _spec("completions", "parallelism", "selector", "template"),
    ("", "PersistentVolume"): _spec(*_VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): _spec("accessModes", "selector", "storageClassName", "volumeName"),
    ("", "Pod"): _spec(
        *_POD,
        *(f"{group}[*].{name}" for group in ("containers", "initContainers") for name in _CONTAINER),
    ),
    ("", "ResourceQuota"): _spec("scopes"),
    ("", "Secret"): ("type",),
    ("", "Service"): _spec("clusterIP"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}


def forced(item: dict[str, Any], settings: Settings) -> tuple[str, ...]:
    """The properties whose change replaces an object, in the notation of `differences.touches`.

    ConfigMaps and Secrets are replaced with their data, so that what mounts them is restarted, unless
    the provider's settings make them mutable.
    """
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    kind = str(item.get("kind", ""))
    found = _IDENTITY + _FORCED.get((group, kind), ())
    fixed = bool(item.get("immutable"))
    if (group, kind) == ("", "ConfigMap") and (fixed or not settings.config_map_mutable):
        found += ("data", "binaryData")
    if (group, kind) == ("", "Secret") and (fixed or not settings.secret_mutable):
        found += ("data", "stringData")
    return found
