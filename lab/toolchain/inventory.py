"""The table of tools (``versions.toml``) as typed, closed records."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FOLDER = Path(__file__).resolve().parent
MODULES = FOLDER / "modules"
VERSIONS = FOLDER / "versions.toml"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Release(_Closed):
    """An official release: one archive (or bare program) and what it must be.

    Attributes:
        sha256: of the download; None where nobody has pinned it yet, and the publisher's list decides.
        checksums: the publisher's checksum list, asked only where ``sha256`` is None.
        members: binary to its path in the archive; an empty path: the download is the program itself.
    """

    url: str
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    checksums: str
    members: dict[str, str]


class Copy(_Closed):
    """A script that a Go module carries and that lies beside a built binary."""

    binary: str
    folder: str
    module: str
    file: str


class Module(_Closed):
    """How to build a tool from Go modules, pinned by the go.mod and go.sum in ``modules/<folder>``."""

    folder: str
    packages: dict[str, str]
    version: str | None = None
    """What is built, where that is not the tool's version."""
    linker: list[str] = Field(default_factory=list)
    generate: list[str] = Field(default_factory=list)
    """Arguments of a first run of the built program, whose output the second build embeds."""
    copies: list[Copy] = Field(default_factory=list)


class Tool(_Closed):
    """One tool of the lab, with the ways to get it."""

    version: str
    binaries: list[str]
    version_arguments: list[str] = Field(default_factory=list)
    beside: str | None = None
    """For a binary that cannot say its version: the binary in the same folder that speaks for it."""
    plugin: str | None = None
    """Name of the Pulumi plugin, if it is one."""
    release: Release | None = None
    module: Module | None = None
    lab_plugin: str | None = None
    """The lab's own Python module for this plugin, used where no release can be had."""


class Chart(_Closed):
    """A Helm chart whose files, or some of them, a Go module carries.

    Attributes:
        version: of the chart; put where the module's Chart.yaml, if it has one, only keeps a place for it.
        module: path and version, such as ``example.org/tool@v1.2.3``.
        sum: the module's checksum, as go.sum has it.
        files: paths in the chart to paths in the module, of files or folders.
        own: a folder of the program with the rest of the chart.
    """

    version: str
    module: str
    sum: str
    files: dict[str, str]
    own: str | None = None


class Go(_Closed):
    """The Go to build with."""

    oldest: str
    package: str


class Inventory(_Closed):
    """All of ``versions.toml``."""

    go: Go
    tools: dict[str, Tool]
    charts: dict[str, Chart] = Field(default_factory=dict)


def load() -> Inventory:
    """Reads ``versions.toml``."""
    return Inventory.model_validate(tomllib.loads(VERSIONS.read_text()))
