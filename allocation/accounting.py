"""What the cloud says was used: the answer of Jetstream2's accounting service, checked to the last field.

The service is known by what Jetstream2's own interface, Exosphere, reads from it and by how it chooses among
several records (``src/Rest/Jetstream2Accounting.elm``, ``src/Types/Jetstream2Accounting.elm``, August 2026).
Its figures trail behind the use by 12 to 24 hours, which ``drift`` measures.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import keystoneauth1.exceptions
import requests
import tenacity
import urllib3.exceptions
from keystoneauth1.session import Session

from allocation import keystone, rates, records, times
from allocation.errors import AllocationError
from allocation.keystone import PassingError, session
from allocation.records import Allocation

__all__ = ["Allocation", "current", "endpoint", "fetch", "session", "unfamiliar"]

SERVICE_TYPE = "accounting"
"""What the service is called in Keystone's catalog."""

JETSTREAM2_HOST = "js2.jetstream-cloud.org"
JETSTREAM2_ADDRESS = f"https://{JETSTREAM2_HOST}:9001"
"""Where Jetstream2's service is if its catalog does not say."""

ATTEMPTS = 3
FIRST_PAUSE_S = 0.5
"""Seconds before the second attempt; the pause doubles before each further one."""

MOST_BYTES = 5_000_000
"""A longer answer is none of the accounting service's: a record has about a kilobyte."""


def endpoint(session: Session, *, region: str | None) -> str:
    """The address of the accounting service.

    The known address stands in for a missing entry of the catalog only where Jetstream2's own Keystone is
    asked: a token goes nowhere that its cloud does not vouch for.

    Args:
        region: the region to look in; None for any.

    Raises:
        AllocationError: if the catalog names none; and as ``keystone.token``.
    """
    address = keystone.auth_url(session)
    found = None
    with keystone.told("Keystone", address), contextlib.suppress(keystoneauth1.exceptions.EndpointNotFound):
        found = session.get_endpoint(
            service_type=SERVICE_TYPE, region_name=region, interface="public", skip_discovery=True
        )
    if found:
        return found
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname == JETSTREAM2_HOST:
        return JETSTREAM2_ADDRESS
    within = f" in the region {region}" if region else ""
    raise AllocationError(
        f"the cloud at {keystone.origin(address)} has no service of the type {SERVICE_TYPE}{within}; check "
        "the region, and that the credentials are for a project"
    )


def fetch(session: Session, *, region: str | None, timeout_s: float = 30.0) -> list[Allocation]:
    """Every record that the accounting service has of the project, in its order.

    Failures that may pass are tried again for a few seconds; a refused token is renewed once.

    Args:
        session: as from ``session``.
        region: the region to look in; None for any.
        timeout_s: how many seconds the accounting service may take in all. Keystone's answers come on top.

    Raises:
        AllocationError: if the service cannot be asked, refuses, or sends what is no list of records.
    """
    deadline = time.monotonic() + timeout_s
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(PassingError),
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(timeout_s),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE_S),
        reraise=True,
    )
    url, body = attempts(_ask, session, region, deadline)
    return records.parse(body, source=_where(url))


def current(allocations: Sequence[Allocation], now: float) -> dict[str, Allocation]:
    """The record that counts, by resource: the first active one in force, else the one that ends last.

    That is Exosphere's rule, but for the last day: there an allocation ends as its last day begins, here it
    may be used through all of it.

    Args:
        now: seconds since the epoch.
    """
    chosen: dict[str, Allocation] = {}
    for resource in dict.fromkeys(record.resource for record in allocations):
        own = [record for record in allocations if record.resource == resource]
        in_force = [record for record in own if record.active and _in_force(record, now)]
        # Of those that end together Exosphere shows the last one listed.
        chosen[resource] = in_force[0] if in_force else max(reversed(own), key=lambda record: record.end)
    return chosen


def unfamiliar(allocations: Sequence[Allocation]) -> list[str]:
    """The records' resources that are none of Jetstream2's known ones: worth a warning, no reason to fail."""
    return sorted({record.resource for record in allocations} - set(rates.RESOURCES))


def _in_force(record: Allocation, now: float) -> bool:
    return times.day_begins(record.start) <= now < times.day_ends(record.end)


def _where(url: str) -> str:
    return f"the accounting service at {keystone.origin(url)}"


def _ask(session: Session, region: str | None, deadline: float) -> tuple[str, bytes]:
    """One attempt: the address asked, and the body of a good answer."""
    token = keystone.token(session)
    url = endpoint(session, region=region)
    status, body = _get(session, url, token, deadline)
    if status == 401:
        # It may have expired on the way, or have been revoked; Keystone tells whether a new one is to be had.
        status, body = _get(session, url, keystone.renew(session), deadline)
    if status != 200:
        raise keystone.of_status(_where(url), status)
    return url, body


def _get(session: Session, url: str, token: str, deadline: float) -> tuple[int, bytes]:
    """Status and body of one request, within the time that is left."""
    where = _where(url)
    too_slow = PassingError(f"{where} takes too long to answer; try again later")
    left = deadline - time.monotonic()
    if left <= 0:
        raise too_slow
    try:
        with requests.get(
            url,
            headers={"X-Auth-Token": token, "Accept": "application/json"},
            timeout=left,
            # requests would send the token along to wherever the answer points.
            allow_redirects=False,
            stream=True,
            verify=session.verify,
            cert=session.cert,
        ) as response:
            if 300 <= response.status_code < 400:
                raise AllocationError(
                    f"{where} sends on to {_target(response)}, which is not given the token; "
                    "the cloud's catalog should name that address if it is right"
                )
            body = bytearray()
            # Read as it comes: the timeout of requests begins anew with every piece.
            while piece := response.raw.read1(65536, decode_content=True):
                body += piece
                if time.monotonic() > deadline:
                    raise too_slow
                if len(body) > MOST_BYTES:
                    raise AllocationError(f"{where} sends more than {MOST_BYTES:,} bytes; it cannot be right")
            return response.status_code, bytes(body)
    except requests.exceptions.SSLError:
        raise AllocationError(
            f"{where} has no certificate that this computer trusts; give its CA file as cacert in clouds.yaml"
        ) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise too_slow from None
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError):
        raise PassingError(f"{where} does not answer; check the address and the network") from None
    except requests.exceptions.RequestException as error:
        kind = type(error).__name__
        raise AllocationError(f"{where} cannot be asked ({kind}); check the cloud's catalog") from None


def _target(response: Any) -> str:
    return keystone.origin(response.headers.get("Location", "")).removesuffix("://") or "none at all"
