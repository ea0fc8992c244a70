"""``remote.CopyToRemote``: files and folders on other hosts."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import paramiko

from lab.plugins.command import common
from lab.plugins.command.remote import connection_problems
from lab.plugins.command.ssh import Dialer, target
from lab.plugins.engine import Engine
from lab.plugins.provider import Cancellation, Difference, PluginError, Problem, Resource, State
from lab.plugins.values import UNKNOWN, Asset, Properties, reveal

Progress = Callable[[int, int], None]
"""Told between two pieces of a file how many of its bytes are there."""

_SILENCE_SECONDS = 60.0


class Copies:
    """Copies of local files on other hosts. They stay there when the resource goes."""

    def __init__(self, engine: Engine, cancellation: Cancellation) -> None:
        self._engine = engine
        self._cancellation = cancellation

    def check(self, resource: Resource) -> tuple[Properties, Sequence[Problem]]:
        """Refuses sources that are neither a file, a text, nor a folder."""
        problems = list(connection_problems(resource.inputs))
        source = reveal(resource.inputs.get("source"))
        if source is not UNKNOWN and not _copyable(source):
            reason = "must be a FileAsset, a StringAsset or a FileArchive"
            problems.append(Problem(property="source", reason=reason))
        return resource.inputs, problems

    def diff(self, resource: Resource) -> Difference:
        """Changed triggers replace, changed content updates."""
        return common.difference(resource)

    def create(self, resource: Resource) -> State:
        """Copies; nothing is copied in a preview."""
        if resource.preview:
            return State(id="", outputs=resource.inputs)
        self._copy(resource)
        return State(id=common.new_id(""), outputs=resource.inputs)

    def read(self, resource: Resource) -> State:
        """What the state has."""
        return common.recorded(resource)

    def update(self, resource: Resource) -> State:
        """Copies again if the content or the place has changed."""
        old, new = reveal(resource.old_inputs), reveal(resource.inputs)
        same = all(old.get(name) == new.get(name) for name in ("source", "remotePath"))
        if not resource.preview and not same:
            self._copy(resource)
        return State(id=resource.id, outputs=resource.inputs)

    def delete(self, resource: Resource) -> None:
        """Leaves the copy where it is, as the published plugin does."""

    def _copy(self, resource: Resource) -> None:
        inputs = reveal(resource.inputs)
        dialer = Dialer(self._cancellation, lambda text: self._engine.status(text, resource.urn))
        with dialer.connected(target(inputs["connection"])) as transport:
            files = paramiko.SFTPClient.from_transport(transport)
            if files is None:
                raise PluginError("the host offers no file transfer (SFTP)")
            channel = files.get_channel()
            if channel is not None:
                # A host that falls silent in the middle must not hold the engine for ever.
                channel.settimeout(_SILENCE_SECONDS)
            try:
                _put(files, inputs["source"], str(inputs["remotePath"]), self._look_up)
            except OSError as error:
                raise PluginError(f"copying to {inputs['remotePath']} failed: {error}") from error

    def _look_up(self, done: int, size: int) -> None:
        """Between two pieces of a file: ends the transfer if the operator has interrupted."""
        self._cancellation.pause(0, f"copying to another host ({done} of {size} bytes)")


def _copyable(source: object) -> bool:
    if not isinstance(source, Asset):
        return False
    return source.path is not None or (source.text is not None and not source.archive)


def _put(files: paramiko.SFTPClient, source: Asset, place: str, progress: Progress) -> None:
    """Copies by the published plugin's rules.

    ======================  =====================  ==================  =================
    source                  place is a folder      place is not there  place is a file
    ======================  =====================  ==================  =================
    ``folder``              into place/folder      into place/folder   refused
    ``folder/``             its files into place   into place          refused
    ``file``                as place/file          as place            as place
    a text                  refused                as place            as place
    ======================  =====================  ==================  =================
    """
    if source.path is None:
        if _is_folder(files, place):
            raise PluginError(f"{place} is a folder; for a text, remote_path must name a file")
        text = (source.text or "").encode()
        files.putfo(io.BytesIO(text), place, len(text), progress)
        return
    path = Path(source.path)
    if not path.is_dir():
        files.put(str(path), f"{place}/{path.name}" if _is_folder(files, place) else place, progress)
        return
    _make_folder(files, place)
    if not source.path.endswith("/"):
        place = f"{place}/{path.name}"
        _make_folder(files, place)
    for item in sorted(path.rglob("*")):
        there = str(PurePosixPath(place) / item.relative_to(path).as_posix())
        if item.is_dir():
            _make_folder(files, there)
        else:
            files.put(str(item), there, progress)


def _make_folder(files: paramiko.SFTPClient, place: str) -> None:
    exists = _is_folder(files, place)
    if exists is None:
        files.mkdir(place)
    elif not exists:
        raise PluginError(f"{place} is there, but is no folder")


def _is_folder(files: paramiko.SFTPClient, place: str) -> bool | None:
    try:
        return stat.S_ISDIR(files.stat(place).st_mode or 0)
    except FileNotFoundError:
        return None
