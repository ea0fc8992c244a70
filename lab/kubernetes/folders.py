"""A cluster's folder: what Magnum wants, what the keeper sees, and the cluster's place in the lab.

Magnum's driver writes ``wanted.json`` and the CA, the keeper all the rest. Every file is replaced in
one step, so that neither ever reads half a file, and a kill at any moment leaves a whole one.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from lab import paths, ports
from lab.errors import LabError
from lab.kubernetes.control_plane import ControlPlane
from lab.private_files import write_private


class _Closed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=_Closed)


class WantedGroup(_Closed):
    """A node group as Magnum's driver passes it on.

    Attributes:
        name: the group's name with dots turned to dashes.
        count: nodes, if it is not autoscaled.
        minimum, maximum: the autoscaler's bounds, or None if the group is not autoscaled.
        revision: identifies the template (image) that its nodes are made from.
    """

    uuid: str
    name: str
    role: str
    flavor: str
    image: str
    count: int
    minimum: int | None
    maximum: int | None
    revision: str

    @property
    def is_control_plane(self) -> bool:
        """Does it hold the cluster's masters?"""
        return self.role == "master"


class Wanted(_Closed):
    """A cluster as Magnum's driver passes it on; ``generation`` grows with every change."""

    generation: int
    uuid: str
    name: str
    created_at: str
    deleted: bool
    version: str
    network: str
    external_network: str
    reclaim_policy: str
    volume_expansion: bool
    auto_healing: bool
    groups: list[WantedGroup]


class SeenGroup(_Closed):
    """A node group as the keeper sees it.

    Attributes:
        ready: as many nodes as wanted, all of the wanted revision and Ready.
        addresses: its servers' addresses on the cluster's network.
        servers: how many servers it has, ready or not.
        problem: what stands in the way, in words for Magnum's status_reason.
        failed: the problem will not go away by itself (a quota, a server in ERROR).
    """

    ready: bool
    addresses: list[str]
    servers: int
    problem: str | None
    failed: bool


class Seen(_Closed):
    """A cluster as the keeper sees it; ``generation`` is the one of `Wanted` that this answers."""

    generation: int
    api_address: str | None = None
    version: str | None = None
    healthy: bool = False
    health: dict[str, str] = {}
    problem: str | None = None
    failed: bool = False
    deleted: bool = False
    groups: dict[str, SeenGroup] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """The folder of one cluster, named by its UUID."""

    path: Path

    @property
    def uuid(self) -> str:
        """The cluster's UUID."""
        return self.path.name

    def wanted(self) -> Wanted | None:
        """What Magnum wants, or None before its driver has said so.

        Raises:
            LabError: if it was said to another version of the lab.
        """
        return _parsed(self.path / "wanted.json", Wanted)

    def seen(self) -> Seen | None:
        """What the keeper last reported, or None.

        Raises:
            LabError: if the keeper of another version of the lab did.
        """
        return _parsed(self.path / "observed.json", Seen)

    def report(self, seen: Seen) -> None:
        """Tells Magnum's driver what is seen; writes only what has changed."""
        text = seen.model_dump_json(indent=1)
        if _read(self.path / "observed.json") != text:
            write_private(self.path / "observed.json", text.encode())

    def sizes(self) -> dict[str, int]:
        """The autoscaled groups' sizes, by group UUID; only the autoscaler decides these."""
        text = _read(self.path / "sizes.json")
        found: Any = json.loads(text) if text else {}
        return {str(group): int(size) for group, size in found.items()}

    def write_sizes(self, sizes: dict[str, int]) -> None:
        """Keeps the autoscaled groups' sizes; writes only what has changed."""
        if sizes != self.sizes():
            write_private(self.path / "sizes.json", json.dumps(sizes).encode())

    def slot(self) -> int | None:
        """The cluster's slot in the port table, or None before it has one."""
        text = _read(self.path / "slot")
        return int(text) if text else None

    def take_slot(self) -> int:
        """The cluster's slot; takes the first free one if it has none yet.

        Raises:
            LabError: if all are taken.
        """
        mine = self.slot()
        if mine is not None:
            return mine
        taken = {folder.slot() for folder in every()}
        free = [slot for slot in range(ports.MAX_CLUSTERS) if slot not in taken]
        if not free:
            raise LabError(
                f"The lab has room for {ports.MAX_CLUSTERS} clusters and all slots are taken; "
                "delete a cluster, then create this one again."
            )
        write_private(self.path / "slot", str(free[0]).encode())
        return free[0]

    def made_control_plane(self) -> ControlPlane | None:
        """The cluster's control plane, or None before the keeper has given it a slot and its certificates."""
        if self.slot() is None:
            return None
        plane = self.control_plane()
        return plane if plane.pki("admin.crt").exists() else None

    def control_plane(self) -> ControlPlane:
        """The cluster's control plane; its services are named by the slot. For the keeper, who gives slots.

        Raises:
            LabError: if the cluster has no slot and none is free.
        """
        slot = self.take_slot()
        return ControlPlane(name=f"cluster{slot}", directory=self.path, ports=ports.cluster_ports(slot))


def every() -> list[Folder]:
    """All clusters' folders, by UUID."""
    return [Folder(path=path) for path in sorted(paths.CLUSTERS.glob("*")) if path.is_dir()]


def expected_to_run() -> list[Folder]:
    """The clusters whose API server should answer: neither deleted nor failed at their start.

    Raises:
        LabError: if one's files are those of another version of the lab.
    """
    running = []
    for folder in every():
        wanted, seen = folder.wanted(), folder.seen()
        if wanted and not wanted.deleted and not (seen and seen.failed):
            running.append(folder)
    return running


def _parsed(file: Path, model: type[Model]) -> Model | None:
    text = _read(file)
    if not text:
        return None
    try:
        return model.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise LabError(
            f"{file} was written by another version of the lab ({key}: {first['msg']}). "
            "Run `python -m lab reset`, then `python -m lab up`."
        ) from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
