"""The services' databases: made once per set of pins in the cache, copied into each lab.

Creating the tables costs a minute of migrations whose result never differs, and a migration that is
killed halfway can often not be resumed. So they run on a scratch server in the cache; a lab gets a copy
of the finished data folder, in one rename.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab import cached, paths, processes
from lab.errors import LabError
from lab.openstack import configuration, folders, mariadb
from lab.openstack.commands import run
from lab.private_files import write_private
from lab.progress import step

DATABASES = [
    "keystone",
    "placement",
    "glance",
    "nova_api",
    "nova_cell0",
    "nova_cell1",
    "neutron",
    "magnum",
    "cinder",
    "designate",
]

SCRATCH_SERVER = "mariadb-scratch"
PINS = "pins"
"""The file beside the tables that names the pins they were made for."""

START_TIMEOUT = 60.0
"""Seconds; after a kill the server first replays its log."""


def ensure() -> None:
    """Gives this lab its databases unless it has them.

    Raises:
        LabError: if they cannot be made, or the lab's are those of other pins.
    """
    processes.stop(SCRATCH_SERVER)
    if not folders.MARIADB.exists():
        finished = _made_once()
        shutil.rmtree(folders.SCRATCH, ignore_errors=True)
        copy = folders.MARIADB.with_name(f"{folders.MARIADB.name}.new")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(finished, copy)
        copy.rename(folders.MARIADB)
    elif (folders.MARIADB / PINS).read_text() != folders.pins():
        raise LabError(
            "This lab's databases were made for other versions of OpenStack than requirements.txt pins now. "
            "Run `python -m lab reset`, then `python -m lab up`."
        )


def migrations(tools: Path, etc: Path) -> list[list[list[str]]]:
    """The commands that create the tables: chains that can run side by side, the longest first.

    Args:
        tools: the folder of the services' programs.
        etc: the folder of their configuration.
    """

    def manage(program: str, config: str, *arguments: str) -> list[str]:
        return [str(tools / program), "--config-file", str(etc / config), *arguments]

    def nova(*arguments: str) -> list[str]:
        return manage("nova-manage", "nova/nova.conf", *arguments)

    # Nova records where its cells are. As templates of its own [database] connection these records
    # stay true wherever a copy's socket is.
    cell = "{scheme}://{username}@{hostname}/%s?{query}"
    return [
        [manage("neutron-db-manage", "neutron/neutron.conf", "upgrade", "heads")],
        [
            nova("api_db", "sync"),
            nova("cell_v2", "map_cell0", "--database_connection", cell % "nova_cell0"),
            nova(
                "cell_v2", "create_cell", "--name", "cell1",
                "--transport-url", "fake://", "--database_connection", cell % "nova_cell1",
            ),
            nova("db", "sync"),
        ],
        [manage("cinder-manage", "cinder/cinder.conf", "db", "sync")],
        [manage("keystone-manage", "keystone/keystone.conf", "db_sync")],
        [manage("magnum-db-manage", "magnum/magnum.conf", "upgrade")],
        [manage("glance-manage", "glance/glance-api.conf", "db_sync")],
        [manage("designate-manage", "designate/designate.conf", "database", "sync")],
        [manage("placement-manage", "placement/placement.conf", "db", "sync")],
    ]  # fmt: skip


def _made_once() -> Path:
    """The finished data folder in the cache; made if it is not there."""
    version = subprocess.run(
        [mariadb.program("mariadbd"), "--no-defaults", "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ingredients = "\n".join([folders.pins(), version, mariadb.user()])
    entry = paths.cache() / f"databases-{hashlib.sha256(ingredients.encode()).hexdigest()[:16]}"
    cached.ensure(entry, _make)
    return entry / "data"


def _make(entry: Path) -> None:
    data = entry / "data"
    entry.mkdir(parents=True)
    with step("OpenStack's databases (once per set of pins)"):
        _initialise(data)
        server = mariadb.server(SCRATCH_SERVER, data, folders.SCRATCH_SOCKET)
        processes.start(server)
        try:
            processes.wait_ready(server, START_TIMEOUT)
            _create_tables()
        finally:
            processes.stop(SCRATCH_SERVER, grace=60)
    (data / PINS).write_text(folders.pins())


def _initialise(data: Path) -> None:
    run(
        [
            mariadb.program("mariadb-install-db"),
            "--no-defaults",
            *mariadb.as_root(),
            f"--datadir={data}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={mariadb.user()}",
            "--skip-test-db",
        ],
        "mariadb-install-db",
    )


def _create_tables() -> None:
    statements = "".join(f"CREATE DATABASE {name} CHARACTER SET utf8mb4;" for name in DATABASES)
    run(
        [
            mariadb.program("mariadb"),
            "--no-defaults",
            f"--socket={folders.SCRATCH_SOCKET}",
            f"--execute={statements}",
        ],
        "create-databases",
    )
    site = configuration.Site(
        data=folders.SCRATCH,
        installed=folders.environment() / "etc",
        socket=folders.SCRATCH_SOCKET,
        database_user=mariadb.user(),
        password="unused by migrations",
    )
    etc = folders.SCRATCH / "etc"
    for name, text in configuration.files(site).items():
        write_private(etc / name, text)
    chains = migrations(folders.environment() / "bin", etc)
    # Two at a time: each keeps one core busy and leaves the server the rest.
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(_run_chain, chains))


def _run_chain(chain: Sequence[Sequence[str]]) -> None:
    for number, command in enumerate(chain, start=1):
        name = Path(command[0]).name.removesuffix("-manage").removesuffix("-db")
        run(command, f"migrate-{name}-{number}", quiet_environment())


def quiet_environment() -> dict[str, str]:
    """For OpenStack's programs: no deprecation warnings of libraries, which nobody here can act on."""
    return {"PYTHONWARNINGS": "ignore"}
