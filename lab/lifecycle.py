"""Bringing the lab up and down: every step may be repeated, so `up` also repairs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from lab import accounting, internet, kubernetes, openstack, paths, processes, progress
from lab.toolchain import charts
from lab.toolchain import install as toolchain

START_SECONDS = 120.0
"""How long a service may take to answer; generous, because a first start shares two cores with others."""


def up() -> None:
    """Installs what is missing, starts what does not run, and waits until everything answers.

    Raises:
        LabError: what is wrong and what to do about it.
    """
    with _alone(), progress.step("The rehearsal cloud is up"):
        # Pulumi makes no folder for a backend that is one.
        paths.PULUMI_BACKEND.mkdir(parents=True, exist_ok=True)
        processes.adopt_orphans()
        # Most of OpenStack's set-up waits for the network, most of the tools' for the compiler.
        with ThreadPoolExecutor(2) as pool:
            tools = pool.submit(_tools)
            cloud = pool.submit(_cloud)
            cloud.result()
            tools.result()
        with progress.step("The web and the certificate authority answer"):
            internet.prepare()
            for service in internet.services():
                processes.start(service)
                processes.wait_ready(service, START_SECONDS)
        keeper = kubernetes.service()
        processes.start(keeper)
        processes.wait_ready(keeper, START_SECONDS)


def _tools() -> None:
    with progress.step("Tools"):
        toolchain.install()
    with progress.step("Charts"):
        charts.install()


def _cloud() -> None:
    with progress.step("OpenStack's packages"):
        openstack.install()
    with progress.step("OpenStack's configuration and databases"):
        openstack.prepare()
    with progress.step("OpenStack's services answer"):
        services = openstack.services()
        for service in services:
            processes.start(service)
        for service in services:
            processes.wait_ready(service, START_SECONDS)
    with progress.step("Catalog, project, flavors, image and network"):
        openstack.seed()
    with progress.step("The accounting answers"):
        processes.start(accounting.service())
        processes.wait_ready(accounting.service(), START_SECONDS)


def down() -> None:
    """Stops every process of the lab, the keeper first (it would restart the others), MariaDB last."""
    with _alone():
        _stop_all()


def _stop_all() -> None:
    with progress.step("The rehearsal cloud is down"):
        processes.adopt_orphans()
        processes.stop(kubernetes.service().name)
        # Listed only now: until it ended, the keeper may have started one more.
        processes.adopt_orphans()
        names = processes.known()
        with ThreadPoolExecutor(len(names) + 1) as pool:
            list(pool.map(processes.stop, [name for name in names if name != openstack.DATABASE]))
        processes.stop(openstack.DATABASE)


def reset() -> None:
    """Stops the lab and removes its state. Tools and packages stay in the cache."""
    with _alone():
        _stop_all()
        with progress.step(f"Removing {paths.STATE}"):
            shutil.rmtree(paths.STATE)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One `up`, `down` or `reset` at a time."""
    with contextlib.ExitStack() as stack:
        while True:
            paths.STATE.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((paths.STATE / "lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say("Waiting for another `python -m lab` command that is at work in this checkout")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_there(lock):
                break
        yield


def _is_there(lock: IO[str]) -> bool:
    """Is it the file that others lock? A `reset` that was waited for has removed it."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), (paths.STATE / "lock").stat())
    except FileNotFoundError:
        return False
