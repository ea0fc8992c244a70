"""What the project's servers burn now: each of Nova's servers at its flavor's rate and its state's charge."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keystoneauth1.exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import Session

from allocation import keystone, rates
from allocation.errors import AllocationError
from allocation.samples import Sample

COMPUTE_RESOURCES: tuple[str, ...] = (rates.CPU, rates.GPU, rates.LARGE_MEMORY)
"""The resources that servers burn."""

MICROVERSION = "2.47"
"""From here on a server tells its flavor's name and vCPUs, even if that flavor is gone since."""

PAGE = 500
"""Servers asked for at once. Nova may send fewer."""

RETRIES = 2
RETRY_PAUSE_S = 0.5
"""Seconds before the first retry; the pause doubles before the second."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputedBurn:
    """The burn of all servers at one moment.

    Attributes:
        su_per_hour: SU/h, by resource; each of ``COMPUTE_RESOURCES`` is there, with 0 if nothing burns it.
        servers: how many servers that counts, by the same resources; those that burn nothing too.
        unknown: the servers that it does not count, and why: ``name (reason)``.
    """

    su_per_hour: Mapping[str, float]
    servers: Mapping[str, int]
    unknown: tuple[str, ...]

    def samples(self, resources: Iterable[str], *, now: float) -> list[Sample]:
        """The burn of those resources among the given that servers can burn, for the file of samples.

        Args:
            now: when it was computed, in seconds since the epoch.
        """
        return [
            Sample(
                timestamp=now,
                resource=resource,
                su_per_hour=self.su_per_hour[resource],
                servers=self.servers[resource],
                unknown=len(self.unknown),
            )
            for resource in resources
            if resource in self.su_per_hour
        ]


def computed_burn(session: Session, *, region: str | None, own_rates: Mapping[str, float]) -> ComputedBurn:
    """Asks Nova for all servers of the project, and reckons what they burn.

    Args:
        region: the region to look in; None for any.
        own_rates: SU/h of flavors that ``rates`` does not know, or has wrong.

    Raises:
        AllocationError: if Nova cannot be asked, refuses, or sends what is no list of servers.
    """
    return burn(_all_servers(session, region), own_rates=own_rates)


def burn(servers: Sequence[Mapping[str, Any]], *, own_rates: Mapping[str, float]) -> ComputedBurn:
    """What servers burn together.

    Args:
        servers: as Nova's API lists them in detail, from microversion 2.47 on.
        own_rates: SU/h of flavors that ``rates`` does not know, or has wrong.

    Raises:
        AllocationError: if a rate among ``own_rates`` is none.
    """
    su_per_hour = dict.fromkeys(COMPUTE_RESOURCES, 0.0)
    counted = dict.fromkeys(COMPUTE_RESOURCES, 0)
    unknown = []
    for server in servers:
        try:
            resource, rate = _charge(server, own_rates)
        except (rates.UnknownFlavor, rates.UnknownState) as reason:
            unknown.append(f"{server.get('name') or server.get('id')} ({reason})")
            continue
        su_per_hour[resource] += rate
        counted[resource] += 1
    return ComputedBurn(su_per_hour=su_per_hour, servers=counted, unknown=tuple(unknown))


def _charge(server: Mapping[str, Any], own_rates: Mapping[str, float]) -> tuple[str, float]:
    """The resource that a server burns, and its SU/h."""
    shape = server.get("flavor")
    if not isinstance(shape, Mapping) or not isinstance(shape.get("original_name"), str):
        raise rates.UnknownFlavor("Nova does not tell its flavor")
    flavor = shape["original_name"]
    vcpus = shape.get("vcpus")
    rate = rates.su_per_hour(flavor, own=own_rates, vcpus=vcpus if isinstance(vcpus, int) else None)
    resource = rates.resource_of(flavor)
    if resource is None:
        raise rates.UnknownFlavor(
            f"which resource the flavor {flavor!r} burns is not known; only flavors of "
            f"{', '.join(rates.FAMILY_FACTORS)} can be counted, so the computed burn lacks it"
        )
    return resource, rate * rates.state_factor(str(server.get("status")))


def _all_servers(session: Session, region: str | None) -> list[Mapping[str, Any]]:
    keystone.token(session)  # so that Keystone's failures are not told as Nova's
    nova = Adapter(
        session,
        service_type="compute",
        interface="public",
        region_name=region,
        default_microversion=MICROVERSION,
        connect_retries=RETRIES,
        connect_retry_delay=RETRY_PAUSE_S,
        status_code_retries=RETRIES,
        status_code_retry_delay=RETRY_PAUSE_S,
    )
    with keystone.told("Nova of the cloud", keystone.auth_url(session)):
        try:
            return _pages(nova)
        except keystoneauth1.exceptions.EndpointNotFound:
            within = f" in the region {region}" if region else ""
            raise AllocationError(f"the cloud has no Nova{within}; check the region") from None


def _pages(nova: Adapter) -> list[Mapping[str, Any]]:
    """All servers, page by page, since Nova sends a thousand at most."""
    found: dict[str, Mapping[str, Any]] = {}
    marker: dict[str, str] = {}
    while True:
        answer = nova.get("/servers/detail", params={"limit": PAGE, **marker})
        try:
            page = answer.json()
            fresh = {str(server["id"]): server for server in page["servers"] if server["id"] not in found}
            more = bool(page.get("servers_links"))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise AllocationError(
                "Nova sends what is no list of servers; check that the cloud's catalog has its address"
            ) from None
        found |= fresh
        if not (more and fresh):
            return list(found.values())
        marker = {"marker": next(reversed(fresh))}
