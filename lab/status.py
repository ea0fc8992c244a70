"""What runs, where it listens, how much memory it takes, and where each tool came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import psutil
from rich.console import Console
from rich.table import Table

from lab import accounting, internet, kubernetes, openstack, paths, processes
from lab.toolchain import install as toolchain


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """One process of the lab.

    Attributes:
        name: the service.
        pid: its process, None if it does not run.
        ports: loopback ports.
        answers: whether it answers now.
        memory_mib: memory of its own plus its share of shared pages (PSS), MiB.
    """

    name: str
    pid: int | None
    ports: Sequence[int]
    answers: bool
    memory_mib: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToolStatus:
    """One tool: its version, and where it came from."""

    name: str
    version: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """The whole lab."""

    services: Sequence[ServiceStatus]
    tools: Sequence[ToolStatus]

    @property
    def up(self) -> bool:
        """Whether every service answers."""
        return bool(self.services) and all(service.answers for service in self.services)

    @property
    def memory_mib(self) -> float:
        """Memory of all processes together, MiB."""
        return round(sum(service.memory_mib for service in self.services), 1)


def status() -> Status:
    """Looks at every process and tool of the lab."""
    own = [accounting.service(), *internet.services(), kubernetes.service()]
    expected = [*openstack.services(), *own] if paths.STATE.exists() else []
    services = [_service(service) for service in expected]
    names = {service.name for service in services}
    # Control planes are the keeper's: known here by their pid files alone.
    services += [_process(name) for name in processes.known() if name not in names]
    tools = [
        ToolStatus(name=found.tool, version=found.version, source=found.source)
        for found in toolchain.installed()
    ]
    return Status(services=services, tools=tools)


def as_dict(found: Status) -> dict[str, object]:
    """The status for ``--json``."""
    return {"up": found.up, "memory_mib": found.memory_mib, **dataclasses.asdict(found)}


def show(found: Status, console: Console) -> None:
    """Prints the status as two tables."""
    services = Table("service", "pid", "port", "answers", "memory MiB", title="Services")
    for service in found.services:
        services.add_row(
            service.name,
            str(service.pid or "-"),
            ", ".join(map(str, service.ports)) or "-",
            "yes" if service.answers else "NO",
            f"{service.memory_mib:.0f}",
        )
    tools = Table("tool", "version", "source", title="Tools")
    for tool in found.tools:
        tools.add_row(tool.name, tool.version, tool.source)
    console.print(services)
    console.print(tools)
    console.print(f"memory: {found.memory_mib:.0f} MiB")


def _service(service: processes.Service) -> ServiceStatus:
    answers = service.ready is None or service.ready()
    process = _process(service.name)
    return dataclasses.replace(process, ports=service.ports, answers=process.answers and answers)


def _process(name: str) -> ServiceStatus:
    process = processes.find(name)
    ports: list[int] = []
    memory = 0.0
    if process:
        try:
            memory = process.memory_full_info().pss / 2**20
            ports = sorted(
                {c.laddr.port for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
            )
        except psutil.Error:
            process = None
    return ServiceStatus(
        name=name,
        pid=process.pid if process else None,
        ports=ports,
        answers=process is not None,
        memory_mib=memory,
    )
