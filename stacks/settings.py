"""The closed, typed model of a stack's settings: the ``gateway:`` keys of Pulumi.<stack>.yaml.

Each field is one key; its description is what the user reads when its value is refused. Rules that need
more than one setting are in ``settings_rules``; ``settings_parsing`` makes the model from Pulumi's
configuration or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from stacks.charts import Chart, Charts
from stacks.flavors import JETSTREAM2, Shape
from stacks.settings_access import Authentication, Dns, Secrets, Tls
from stacks.settings_base import DnsLabel, PoolName, Section
from stacks.settings_budget import Budget
from stacks.settings_cluster import Cloud, Cluster, Flavor, Network, Pool
from stacks.settings_hub import Culling, Hub, Profile
from stacks.settings_storage import Backup, Storage

__all__ = ["Budget", "Cloud", "Pool", "Profile", "Settings"]


class Settings(Section):
    """All settings of one stack. The fields are the keys ``gateway:<field>``."""

    name: Annotated[DnsLabel, StringConstraints(max_length=20)] = Field(
        description="prefix of all names in the cloud: 20 or fewer lower-case letters, digits and dashes"
    )
    production: bool = Field(
        default=False, description="true protects cluster and homes, and forbids rehearsal choices"
    )
    cloud: Cloud = Field(default=Cloud())
    network: Network = Field(description="the nodes' network: cidr to create one, existing to use one")
    cluster: Cluster = Field(description="the Magnum cluster; template has no default")
    pools: Mapping[PoolName, Pool] = Field(
        min_length=1, description="at least one; names of 3 to 63 lower-case letters, digits and dashes"
    )
    flavors: Mapping[str, Flavor] = Field(default_factory=dict)
    profiles: tuple[Profile, ...] = Field(min_length=1, description="at least one choice for users")
    storage: Storage = Field(description="volumes; reclaim_policy has no default")
    hub: Hub = Field(description="JupyterHub itself; image has no default")
    chart: Chart = Field(description="JupyterHub's Helm chart: a repository and version, or a path")
    charts: Charts = Field(default=Charts())
    authentication: Authentication = Field(description="how users log in: github, cilogon, or workshop: true")
    tls: Tls | None = Field(default=None, description="the certificate; null for no way in from outside")
    dns: Dns | None = Field(default=None, description="the zone of the host name; null makes no record")
    culling: Culling = Field(default=Culling())
    backup: Backup = Field(default=Backup())
    budget: Budget = Field(default=Budget())
    secrets: Secrets = Field(default=Secrets())

    def shape(self, flavor: str) -> Shape | None:
        """The size of a flavor, from the settings or from Jetstream2's table; None if in neither."""
        own = self.flavors.get(flavor)
        return own.shape if own is not None else JETSTREAM2.get(flavor)

    @property
    def placeholders_per_pool(self) -> int:
        """Spare nodes kept warm in each pool: as set, else 1 in production and 0 elsewhere."""
        own = self.hub.placeholders_per_pool
        return int(self.production) if own is None else own
