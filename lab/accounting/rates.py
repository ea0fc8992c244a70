"""What servers burn, in SU/h, by ``rates.toml``."""

from __future__ import annotations

import dataclasses
import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

CPU = "jetstream2.indiana.xsede.org"
"""The resource that every allocation has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A Nova server: its flavor's name, its vCPUs and its state."""

    flavor: str
    vcpus: int
    state: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Flavors that share the part of their name before the dot.

    Attributes:
        factor: SU/h per vCPU of an ACTIVE server.
        resource: the resource whose SU they burn.
    """

    factor: float
    resource: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """``rates.toml``: families by name, and the part of the rate charged in states other than ACTIVE."""

    families: Mapping[str, Family]
    states: Mapping[str, float]


@functools.cache
def rates() -> Rates:
    """The rates in force."""
    data = tomllib.loads((Path(__file__).parent / "rates.toml").read_text())
    families = {name: Family(**entry) for name, entry in data["families"].items()}
    return Rates(families=families, states=data["states"])


def burn(servers: Sequence[Server]) -> dict[str, float]:
    """SU/h by resource; a resource without servers is left out. Servers of unknown flavors burn nothing."""
    charges: dict[str, list[float]] = {}
    for server in servers:
        family = rates().families.get(_family(server))
        if family is not None:
            charge = family.factor * server.vcpus * rates().states.get(server.state, 1.0)
            charges.setdefault(family.resource, []).append(charge)
    # fsum, so that Nova's order makes no difference that would look like a change of the burn rate.
    return {resource: math.fsum(charge) for resource, charge in charges.items()}


def unknown(servers: Sequence[Server]) -> list[str]:
    """The flavors among the servers' that have no rate, sorted."""
    return sorted({server.flavor for server in servers if _family(server) not in rates().families})


def _family(server: Server) -> str:
    return server.flavor.partition(".")[0]
