"""The lab's Kubernetes: real control planes, their nodes, and the keeper that looks after them."""

from __future__ import annotations

import sys

from lab import paths, processes
from lab.kubernetes import folders


def service() -> processes.Service:
    """The keeper. It is ready when it runs and every cluster's API server says that it is ready."""
    return processes.Service(
        name="keeper",
        command=[sys.executable, "-m", "lab.kubernetes.keeper"],
        ready=_clusters_answer,
        directory=paths.PROGRAM,
    )


def _clusters_answer() -> bool:
    # The keeper alone hands out slots; a cluster without one has not been looked at yet.
    running = folders.expected_to_run()
    return all(folder.slot() is not None and folder.control_plane().answers() for folder in running)
