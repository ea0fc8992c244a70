"""The keeper: looks after every cluster's folder, all the time. ``python -m lab.kubernetes.keeper``."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import signal
import sys
import threading
import time

from lab import paths
from lab.errors import LabError
from lab.kubernetes import delays, folders
from lab.kubernetes.api import ApiError
from lab.kubernetes.cloud import Cloud
from lab.kubernetes.cluster import Cluster
from lab.kubernetes.control_plane import merged_kubeconfig
from lab.kubernetes.folders import Folder
from lab.private_files import write_private

KUBECONFIG = paths.STATE / "kubeconfig"

PULSE = 1.0
"""Seconds between two looks when nothing is reported to have changed."""

REST = 0.2
"""Seconds between two looks at the least, so that a burst of changes is one."""


class _Context(logging.Filter):
    """Lines that belong to no cluster get a dash where others name theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "cluster"):
            record.cluster = "-"
        return True


class Keeper:
    """Keeps all clusters until it is told to stop; their processes outlive it."""

    def __init__(self) -> None:
        self._cloud = Cloud()
        self._clusters: dict[str, Cluster] = {}
        self._known: list[tuple[str, Folder]] | None = None
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._delays = delays.Delays()
        self._log = logging.getLogger("keeper")

    def stop(self) -> None:
        """Ends after the present step."""
        self._stopped.set()
        self._changed.set()

    def run(self) -> None:
        """Looks after the clusters until `stop`."""
        self._log.info("the keeper is at work")
        while not self._stopped.is_set():
            self._changed.clear()
            self._step()
            time.sleep(REST)
            self._changed.wait(PULSE)
        for cluster in self._clusters.values():
            cluster.stop()

    def _step(self) -> None:
        try:
            self._delays = delays.read()
        except LabError as error:
            self._log.warning("%s The last good delays stay in force.", error)
        there = {folder.uuid: folder for folder in folders.every()}
        for gone in self._clusters.keys() - there.keys():
            self._clusters.pop(gone).stop()
        for uuid, folder in there.items():
            cluster = self._clusters.setdefault(uuid, Cluster(folder, self._cloud, self._changed))
            try:
                cluster.step(self._delays)
            except (LabError, ApiError) as error:
                cluster.tell_once(str(error))
            except Exception:
                # One cluster's surprise must not take the others' keeper away.
                self._log.exception("cluster %s", uuid)
                time.sleep(REST)
        # A cluster whose files cannot be read has said so at its own step.
        with contextlib.suppress(LabError):
            self._keep_kubeconfig()

    def _keep_kubeconfig(self) -> None:
        known = contexts()
        if known != self._known or not KUBECONFIG.exists():
            write_kubeconfig(known)
            self._known = known


def contexts() -> list[tuple[str, Folder]]:
    """The clusters that answer, oldest first, with the names of their kubeconfig contexts."""
    running = []
    for folder in folders.expected_to_run():
        wanted, seen = folder.wanted(), folder.seen()
        if wanted and seen and seen.version:
            running.append((wanted.created_at, wanted.name, folder))
    running.sort(key=lambda entry: (entry[0], entry[2].uuid))
    names = [name for _, name, _ in running]
    return [
        (name if names.count(name) == 1 else f"{name}-{folder.uuid[:8]}", folder)
        for _, name, folder in running
    ]


def write_kubeconfig(known: list[tuple[str, Folder]]) -> None:
    """Writes a kubeconfig with one context per cluster, the newest one current."""
    configs = [folder.control_plane().kubeconfig(context=name) for name, folder in known]
    write_private(KUBECONFIG, merged_kubeconfig(configs).encode())


def main() -> int:
    """Runs the keeper until SIGTERM."""
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(cluster)s %(message)s", level=logging.INFO, stream=sys.stdout
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Context())
    paths.STATE.mkdir(parents=True, exist_ok=True)
    with (paths.STATE / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.getLogger("keeper").error("Another keeper is at work in this checkout.")
            return 1
        keeper = Keeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: keeper.stop())
        keeper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
