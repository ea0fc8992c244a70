"""Which kinds live in namespaces, as far as that can be told without asking a cluster."""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.client import Cluster, Reference, UnknownKindError, UnreachableError
from lab.plugins.kubernetes.naming import metadata

_CLUSTER_WIDE = {
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
}
"""Kubernetes' own kinds that live outside of namespaces."""


def is_builtin(api_version: str) -> bool:
    """Does this API belong to Kubernetes itself rather than to a CustomResourceDefinition?"""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def is_namespaced(api_version: str, kind: str, cluster: Cluster | None) -> bool:
    """Do objects of this kind live in namespaces?

    A kind that the cluster does not know yet, or that no cluster can be asked about, is assumed to.
    """
    if is_builtin(api_version) and kind in _CLUSTER_WIDE:
        return False
    if is_builtin(api_version) or cluster is None:
        return True
    try:
        return cluster.namespaced(api_version, kind)
    except (UnknownKindError, UnreachableError):
        return True


def reference(item: dict[str, Any], cluster: Cluster | None) -> Reference:
    """What names an object that has a name."""
    api_version, kind = str(item["apiVersion"]), str(item["kind"])
    about = metadata(item)
    namespaced = is_namespaced(api_version, kind, cluster)
    namespace = str(about.get("namespace") or "default") if namespaced else ""
    return Reference(api_version=api_version, kind=kind, name=str(about["name"]), namespace=namespace)
