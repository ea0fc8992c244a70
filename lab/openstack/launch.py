"""OpenStack's processes: what each needs on disk before it starts, and how it is started."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import secrets
import uuid
from pathlib import Path

from lab import paths, processes
from lab.openstack import configuration, databases, folders, mariadb, passwords
from lab.ports import HOST, NAME_SERVER, OPENSTACK
from lab.private_files import write_private
from lab.processes import Service, answers_http

DATABASE = "mariadb"
"""The name of the process that has to start before the others and stop after them."""

NEEDS: dict[str, list[str]] = {
    "keystone": [],
    "placement": [],
    "nova": ["keystone", "placement"],
    "neutron": [],
    "glance": [],
    "cinder": [],
    "magnum": [],
    "designate": [],
}
"""The services in the order of their start, each with those it waits for once its code is loaded.

All can be started at once: that is fastest, since loading their code is most of the work.
"""

CONFIG_OPTION = {"magnum", "cinder"}
"""Services that take their configuration file as an option; the others by their environment."""

MORE_PORTS = {"designate": [NAME_SERVER]}
"""Ports beside that of the API."""


def prepare() -> None:
    """Writes configuration, keys and passwords, and makes the databases; quick when all is there.

    Raises:
        LabError: if the databases cannot be made, the password file is damaged, or the path is too long.
    """
    mariadb.check_socket(folders.SOCKET)
    if processes.find(DATABASE) is None:
        # Whoever outlived the database lost what it was writing; it settles that when it starts.
        with concurrent.futures.ThreadPoolExecutor(len(NEEDS)) as pool:
            list(pool.map(processes.stop, NEEDS))
    folders.ROOT.mkdir(parents=True, exist_ok=True)
    folders.ROOT.chmod(0o700)
    databases.ensure()
    secret = passwords.load_or_make(folders.PASSWORDS)
    for folder in (
        *(folders.DATA / name / "locks" for name in NEEDS),
        *(folders.DATA / "glance" / name for name in ("images", "staging", "tasks")),
        paths.STATE / "faults",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("fernet", "credential"):
        make_keys(folders.DATA / "keystone" / name)
    compute_id = folders.DATA / "nova" / "compute_id"
    if not compute_id.exists():
        write_private(compute_id, f"{uuid.uuid4()}\n")
    site = configuration.Site(
        data=folders.DATA,
        installed=folders.environment() / "etc",
        socket=folders.SOCKET,
        database_user=mariadb.user(),
        password=secret.service,
    )
    for name, text in {
        **configuration.files(site),
        "keystone/identity.json": identity(secret),
        # These two take their pipelines from beside their configuration only.
        **{
            f"{name}/api-paste.ini": (site.installed / name / "api-paste.ini").read_text()
            for name in ("nova", "designate")
        },
    }.items():
        write_private(folders.ETC / name, text)


def services() -> list[Service]:
    """All processes, in the order of their start; known before anything is installed."""
    return [mariadb.server(DATABASE, folders.MARIADB, folders.SOCKET), *map(_service, NEEDS)]


def make_keys(folder: Path) -> None:
    """Makes Keystone's keys unless they are there: 1 is the one in use, 0 the next (its own layout)."""
    for name in ("0", "1"):
        if not (folder / name).exists():
            write_private(folder / name, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    folder.chmod(0o700)


def identity(secret: passwords.Passwords) -> str:
    """What Keystone's process makes sure of before it serves, as JSON: the other services rely on it."""
    return json.dumps(
        {
            "admin_password": secret.admin,
            "service_password": secret.service,
            "region": configuration.REGION,
            "catalog": [
                {"type": kind, "name": name, "url": url}
                for kind, (name, url) in configuration.CATALOG.items()
            ],
        },
        indent=2,
    )


def _service(name: str) -> Service:
    after = [f"--after={HOST}:{OPENSTACK[needed]}" for needed in NEEDS[name]]
    own = [f"--config-file={folders.ETC / name / f'{name}.conf'}"] if name in CONFIG_OPTION else []
    return Service(
        name=name,
        command=[
            str(folders.python()),
            "-m",
            "lab_inside.serve",
            name,
            str(OPENSTACK[name]),
            f"--database={folders.SOCKET}",
            *after,
            *own,
        ],
        environment=_environment(name),
        ports=[OPENSTACK[name], *MORE_PORTS.get(name, [])],
        ready=answers_http(OPENSTACK[name]),
    )


def _environment(name: str) -> dict[str, str]:
    folder = str(folders.ETC / name)
    return {
        **databases.quiet_environment(),
        "PYTHONPATH": str(folders.INSIDE),
        f"OS_{name.upper()}_CONFIG_DIR": folder,
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        # The services call one another; a proxy of the user's must not come between.
        "NO_PROXY": HOST,
        "no_proxy": HOST,
        # Many threads that are mostly idle: without this each would keep an arena of its own.
        "MALLOC_ARENA_MAX": "2",
    }
