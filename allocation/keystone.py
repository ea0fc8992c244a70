"""The way into the cloud: a session with Keystone for the operator, and its failures told in words."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import keystoneauth1.exceptions
import yaml
from keystoneauth1.session import Session

from allocation.errors import AllocationError

SECONDS = 10.0
"""How long one answer of Keystone or Nova may take."""

# Python prints the warnings of a log that nobody keeps, and cron would mail them; the messages made here
# tell the same.
logging.getLogger("keystoneauth").addHandler(logging.NullHandler())


class PassingError(AllocationError):
    """A failure that may be gone a moment later: no connection, or a service that is overloaded."""


def session(cloud: str | None) -> tuple[Session, str | None]:
    """A session for the operator's credentials, and the region they name. Asks nothing of the cloud yet.

    Args:
        cloud: an entry of ``clouds.yaml``; None for the ``OS_*`` variables.

    Raises:
        AllocationError: if there is no such entry, if the file is broken, or if something is missing in it.
    """
    # Only what speaks to a cloud pays for this import, which takes a third of a second.
    import openstack.config
    import openstack.exceptions

    where = f"the cloud {cloud!r} of clouds.yaml" if cloud else "the credentials in the OS_* variables"
    try:
        config = openstack.config.OpenStackConfig()
        chosen = config.get_one(cloud=cloud, api_timeout=SECONDS)
        return chosen.get_session(), chosen.region_name or None
    except (
        openstack.exceptions.ConfigException,
        keystoneauth1.exceptions.AuthPluginException,
        yaml.YAMLError,
        AttributeError,  # what openstack.config makes of an entry that is no mapping
    ) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise AllocationError(
            f"{where} cannot be used: {reason}; name an entry with --cloud, or source the file of an "
            "application credential; clouds.yaml is looked for at OS_CLIENT_CONFIG_FILE, in this "
            "directory and in ~/.config/openstack"
        ) from None


def auth_url(session: Session) -> str:
    """The address of the Keystone that a session asks; empty if its credentials need none."""
    return str(getattr(session.auth, "auth_url", None) or "")


def origin(url: str) -> str:
    """Scheme, host and port of an address, which is all of it that messages show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def token(session: Session) -> str:
    """A valid token: the session's, or a new one if that has expired.

    Raises:
        PassingError: if Keystone does not answer, or is overloaded.
        AllocationError: if Keystone refuses the credentials.
    """
    with told("Keystone", auth_url(session)):
        issued = session.get_token()
    if not issued:
        raise AllocationError("the credentials get no token; use a password or an application credential")
    return issued


def renew(session: Session) -> str:
    """A token newer than the session's, for a service that refused that one. Raises as ``token``."""
    session.invalidate()
    return token(session)


@contextlib.contextmanager
def told(service: str, url: str) -> Iterator[None]:
    """Tells what keystoneauth raises within the block in words, without what was sent or answered.

    Args:
        service: whom the block asks, as messages name it.
        url: its address.

    Raises:
        PassingError, AllocationError: instead of any of keystoneauth's exceptions.
    """
    where = f"{service} at {origin(url)}"
    try:
        yield
    except keystoneauth1.exceptions.HttpError as error:
        raise of_status(where, error.http_status) from None
    except keystoneauth1.exceptions.SSLError:
        raise AllocationError(
            f"{where} has no certificate that this computer trusts; give its CA file as cacert in "
            "clouds.yaml, or in the variable OS_CACERT"
        ) from None
    except keystoneauth1.exceptions.ConnectionError:
        raise PassingError(f"{where} does not answer; check the address and the network") from None
    except keystoneauth1.exceptions.ClientException as error:
        kind = type(error).__name__
        raise AllocationError(f"{where} cannot be used ({kind}); check that the address is right") from None


def of_status(where: str, status: int) -> AllocationError:
    """What an HTTP status other than success means for the user; for the caller to raise."""
    if status == 429 or status >= 500:
        return PassingError(f"{where} answers with HTTP status {status}; try again later")
    if status == 401:
        return AllocationError(f"{where} refuses the credentials (HTTP status 401); renew or correct them")
    if status == 403:
        return AllocationError(
            f"{where} does not let these credentials see this (HTTP status 403); use those of a member "
            "of the project"
        )
    if status == 404:
        return AllocationError(f"{where} has no such page (HTTP status 404); check that the address is right")
    return AllocationError(f"{where} answers with HTTP status {status}, which was not expected")
