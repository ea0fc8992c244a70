"""Where the Helm charts come from and in which versions: pinned here, or by a stack's settings."""

from __future__ import annotations

import dataclasses

from pydantic import Field

from stacks.settings_base import ExactVersion, Section, Text

OCI = "oci://"
"""What the address of a chart in a container registry begins with."""


class Chart(Section):
    """Where a Helm chart comes from: a repository, or a folder."""

    repository: Text | None = Field(default=None, description="address of a Helm repository")
    name: Text = Field(default="jupyterhub", description="the chart's name in the repository")
    version: ExactVersion | None = Field(
        default=None, description="one exact version such as 4.4.0, never a range"
    )
    path: Text | None = Field(default=None, description="a folder that holds a chart")


class Charts(Section):
    """The charts beside JupyterHub's. The defaults are those that the program's values are written for."""

    traefik: Chart = Field(
        default=Chart(repository="https://traefik.github.io/charts", name="traefik", version="41.4.0"),
        description="the ingress",
    )
    cert_manager: Chart = Field(
        default=Chart(repository="https://charts.jetstack.io", name="cert-manager", version="v1.21.2"),
        description="the keeper of certificates",
    )
    home_nfs: Chart = Field(
        default=Chart(
            repository="oci://ghcr.io/2i2c-org/jupyterhub-home-nfs",
            name="jupyterhub-home-nfs",
            version="1.2.0",
        ),
        description="the server of shared homes",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A chart as a Helm release names it.

    Attributes:
        chart: its name in the repository, a folder, or the whole address in a container registry.
        repository: address of the repository; None for the other two.
        version: None for a folder, which tells its own.
    """

    chart: str
    repository: str | None
    version: str | None


def source(chart: Chart) -> Source:
    """How a Helm release names a chart of the settings."""
    if chart.path is not None:
        return Source(chart=chart.path, repository=None, version=None)
    if chart.repository is not None and chart.repository.startswith(OCI):
        # Helm knows no repositories there: the address is of the chart itself.
        address = f"{chart.repository.rstrip('/')}/{chart.name}"
        return Source(chart=address, repository=None, version=chart.version)
    return Source(chart=chart.name, repository=chart.repository, version=chart.version)


HUB_VERSION = "4.4.0"
"""The version of JupyterHub's chart that the program's values are written for."""


def hub_image(chart: Chart) -> str:
    """The image of the hub itself: its nodes have it already, and it has a Python of today."""
    return f"quay.io/jupyterhub/k8s-hub:{chart.version or HUB_VERSION}"
