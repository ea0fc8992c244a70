"""The lab's Kubernetes: real control planes, their nodes, and the keeper that looks after them."""

from __future__ import annotations

import sys

from lab import paths, processes
from lab.kubernetes import folders


def service() -> processes.Service:
    """The keeper. It is ready when it runs and every cluster's control plane does, and answers."""
    return processes.Service(
        name="keeper",
        command=[sys.executable, "-m", "lab.kubernetes.keeper"],
        ready=_clusters_answer,
        directory=paths.PROGRAM,
    )


def _clusters_answer() -> bool:
    return all(_answers(folder) for folder in folders.expected_to_run())


def _answers(folder: folders.Folder) -> bool:
    plane = folder.made_control_plane()
    if plane is None:
        return False
    # Nobody but the keeper starts the rest again: without them the API server answers, and nothing happens.
    return all(processes.find(service.name) for service in plane.services()) and plane.answers()
