"""The scheduler's configuration: Kubernetes' own profile, and the JupyterHub chart's user-scheduler.

The chart runs a second scheduler in a pod. Nothing runs in the lab's pods, so the control plane's own
scheduler also answers to that one's name, with the chart's rules.
"""

from __future__ import annotations

from pathlib import Path

import yaml

USER_SCHEDULERS = ("jupyterhub-user-scheduler",)
"""The chart calls it ``<release>-user-scheduler``. Pods that name one that is not here stay Pending."""

SCORES = {"NodeAffinity": 14631, "InterPodAffinity": 1331, "NodeResourcesFit": 121, "ImageLocality": 11}
"""What the chart 4.4.0 lets its scheduler weigh, each so that all the following ones together count less."""

UNUSED = ("NodeResourcesBalancedAllocation", *SCORES)
"""Taken out of the default scores first; the scheduler refuses a score that is there twice."""


def configuration(kubeconfig: Path) -> str:
    """The configuration as YAML.

    Args:
        kubeconfig: the scheduler's credentials.
    """
    profiles = [{"schedulerName": "default-scheduler"}, *(_packing(name) for name in USER_SCHEDULERS)]
    return yaml.safe_dump(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 100, "burst": 200},
            "leaderElection": {"leaderElect": False},
            "enableProfiling": False,
            "profiles": profiles,
        },
        sort_keys=False,
    )


def _packing(name: str) -> dict[str, object]:
    """Fills the fullest node first, so that others empty and the autoscaler removes them."""
    resources = [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]
    return {
        "schedulerName": name,
        "plugins": {
            "score": {
                "disabled": [{"name": plugin} for plugin in UNUSED],
                "enabled": [{"name": plugin, "weight": weight} for plugin, weight in SCORES.items()],
            }
        },
        "pluginConfig": [
            {
                "name": "NodeResourcesFit",
                "args": {"scoringStrategy": {"type": "MostAllocated", "resources": resources}},
            }
        ],
    }
