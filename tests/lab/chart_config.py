"""The hub's configuration as the chart makes it from its values.

Zero to JupyterHub 4.4.0 carries a ``jupyterhub_config.py`` that reads the chart's values and sets traits
of JupyterHub and KubeSpawner. Here is the same mapping, of the values that the program sets and of the
chart's own defaults beside them; what it yields goes into the real classes. A value of ``singleuser`` that
is not mapped is an error, so that no new one escapes the tests.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

Config = dict[str, dict[str, Any]]
"""Traits by class, as in ``hub.config``."""

RELEASE = "jupyterhub"
HUB_TRAITS = ("concurrentSpawnLimit", "activeServerLimit", "templatePaths", "templateVars")
SPAWNER_TRAITS = {
    "startTimeout": "start_timeout",
    "image.pullPolicy": "image_pull_policy",
    "events": "events_enabled",
    "extraLabels": "extra_labels",
    "extraAnnotations": "extra_annotations",
    "uid": "uid",
    "fsGid": "fs_gid",
    "nodeSelector": "node_selector",
    "extraNodeAffinity.required": "node_affinity_required",
    "extraNodeAffinity.preferred": "node_affinity_preferred",
    "lifecycleHooks": "lifecycle_hooks",
    "initContainers": "init_containers",
    "memory.limit": "mem_limit",
    "memory.guarantee": "mem_guarantee",
    "cpu.limit": "cpu_limit",
    "cpu.guarantee": "cpu_guarantee",
    "extraEnv": "environment",
    "profileList": "profile_list",
    "extraPodConfig": "extra_pod_config",
    "allowPrivilegeEscalation": "allow_privilege_escalation",
    "cmd": "cmd",
    "defaultUrl": "default_url",
}
ELSEWHERE = ("networkPolicy", "cloudMetadata")
"""Parts of ``singleuser`` that no trait is made of."""

DEFAULTS: Mapping[str, Any] = {
    "hub": {"concurrentSpawnLimit": 64, "consecutiveFailureLimit": 5},
    "singleuser": {
        "events": True,
        "extraLabels": {"hub.jupyter.org/network-access-hub": "true"},
        "uid": 1000,
        "fsGid": 100,
        "allowPrivilegeEscalation": False,
        "cmd": "jupyterhub-singleuser",
        "startTimeout": 300,
        "memory": {"guarantee": "1G"},
        "storage": {
            "type": "dynamic",
            "capacity": "10Gi",
            "homeMountPath": "/home/jovyan",
            "dynamic": {
                "volumeNameTemplate": "volume-{user_server}",
                "storageAccessModes": ["ReadWriteOnce"],
            },
        },
    },
    "scheduling": {
        "userScheduler": {"enabled": True},
        "podPriority": {"enabled": False},
        "userPods": {
            "tolerations": [
                {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
                for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
            ],
            "nodeAffinity": {"matchNodePurpose": "prefer"},
        },
    },
}
"""The chart's own, of the values that are read here."""


def hub_config(values: Mapping[str, Any]) -> Config:
    """Traits by class.

    Args:
        values: the chart's values as the program gives them, with plain texts for secrets.

    Raises:
        ValueError: if a value of ``singleuser`` is not mapped.
    """
    whole = _overlaid(DEFAULTS, values)
    config: Config = {"Spawner": {}}
    config["JupyterHub"] = {
        "tornado_settings": {"slow_spawn_timeout": 0},
        "cleanup_servers": False,
        "cookie_secret": whole["hub"]["cookieSecret"],
    }
    for key in HUB_TRAITS:
        if (value := whole["hub"].get(key)) is not None:
            config["JupyterHub"][_snake(key)] = value
    config["Spawner"]["consecutive_failure_limit"] = whole["hub"]["consecutiveFailureLimit"]
    config["KubeSpawner"] = _spawner(whole)
    for name, traits in copy.deepcopy(whole["hub"].get("config", {})).items():
        config.setdefault(name, {}).update(traits)
    return config


def extra_config(values: Mapping[str, Any]) -> list[str]:
    """The Python texts that the chart runs after all of it, in its order."""
    return [text for _, text in sorted(values["hub"].get("extraConfig", {}).items())]


def _spawner(whole: Mapping[str, Any]) -> dict[str, Any]:
    single, scheduling = whole["singleuser"], whole["scheduling"]
    traits: dict[str, Any] = {"common_labels": {"app": "jupyterhub", "release": RELEASE}}
    flat = _leaves(single, [*SPAWNER_TRAITS, "image.name", "image.tag", "image.pullSecrets", *ELSEWHERE])
    for key, value in flat.items():
        if key in SPAWNER_TRAITS:
            if value is not None:
                traits[SPAWNER_TRAITS[key]] = value
        elif not key.startswith(("image.", "storage.", "extraFiles.", "extraTolerations", *ELSEWHERE)):
            raise ValueError(f"singleuser.{key} is not mapped to a trait here")
    traits["image"] = f"{single['image']['name']}:{single['image']['tag']}"
    secrets = [*whole.get("imagePullSecrets", []), *(single["image"].get("pullSecrets") or [])]
    if whole.get("imagePullSecret", {}).get("create"):
        secrets.insert(0, "image-pull-secret")
    traits["image_pull_secrets"] = secrets
    if scheduling["userScheduler"]["enabled"]:
        traits["scheduler_name"] = f"{RELEASE}-user-scheduler"
    if scheduling["podPriority"]["enabled"]:
        traits["priority_class_name"] = f"{RELEASE}-default-priority"
    purpose = scheduling["userPods"]["nodeAffinity"]["matchNodePurpose"]
    if purpose != "ignore":
        raise ValueError(f"matchNodePurpose {purpose} is not mapped: nodes do not have its label")
    traits["tolerations"] = [*scheduling["userPods"]["tolerations"], *single.get("extraTolerations", [])]
    traits.update(_storage(single))
    return traits


def _storage(single: Mapping[str, Any]) -> dict[str, Any]:
    storage = single["storage"]
    traits: dict[str, Any] = {}
    volumes: list[Any] = []
    mounts: list[Any] = []
    if storage["type"] == "dynamic":
        dynamic = storage["dynamic"]
        name = dynamic["volumeNameTemplate"]
        traits = {
            "storage_pvc_ensure": True,
            "storage_class": dynamic["storageClass"],
            "storage_access_modes": dynamic["storageAccessModes"],
            "storage_capacity": storage["capacity"],
        }
        if template := dynamic.get("pvcNameTemplate"):
            traits["pvc_name_template"] = template
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": "{pvc_name}"}})
        mounts.append({"name": name, "mountPath": storage["homeMountPath"]} | _sub_path(dynamic))
    elif storage["type"] == "static":
        static = storage["static"]
        volumes.append({"name": "home", "persistentVolumeClaim": {"claimName": static["pvcName"]}})
        mounts.append({"name": "home", "mountPath": storage["homeMountPath"]} | _sub_path(static))
    if files := single.get("extraFiles"):
        items = [
            {"key": key, "path": key} | ({"mode": file["mode"]} if "mode" in file else {})
            for key, file in files.items()
        ]
        volumes.append({"name": "files", "secret": {"secretName": "singleuser", "items": items}})
        mounts += [
            {"name": "files", "mountPath": file["mountPath"], "subPath": key} for key, file in files.items()
        ]
    volumes += _listed(storage.get("extraVolumes"))
    mounts += _listed(storage.get("extraVolumeMounts"))
    return {**traits, "volumes": volumes, "volume_mounts": mounts}


def _sub_path(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {"subPath": kind["subPath"]} if kind.get("subPath") else {}


def _listed(entries: Mapping[str, Any] | list[Any] | None) -> list[Any]:
    """The chart takes both forms."""
    return list(entries.values()) if isinstance(entries, Mapping) else list(entries or [])


def _overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm does: objects are merged, all else is replaced."""
    whole = dict(copy.deepcopy(under))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(whole.get(key), Mapping)
        whole[key] = _overlaid(whole[key], value) if both else copy.deepcopy(value)
    return whole


def _leaves(tree: Mapping[str, Any], known: list[str], path: str = "") -> dict[str, Any]:
    """Values by dotted path; one whose path is known is not taken apart."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        here = f"{path}{key}"
        if here not in known and isinstance(value, Mapping):
            flat |= _leaves(value, known, f"{here}.")
        else:
            flat[here] = value
    return flat


def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), key)
