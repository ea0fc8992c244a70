"""Rules of access that need more than one setting. Each yields its problems, and stops at none."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.problems import Problem, key_path
from stacks.rules_hub import missing_secret
from stacks.settings import Settings


def login_is_one(settings: Settings) -> Iterator[Problem]:
    """There is one way to log in."""
    login = settings.authentication
    if (login.github is not None) + (login.cilogon is not None) + login.workshop != 1:
        yield Problem(
            path=key_path("authentication"),
            message="needs exactly one of github, cilogon and workshop: true",
        )


def github_is_complete(settings: Settings) -> Iterator[Problem]:
    """GitHub is told who we are, and lets somebody in."""
    github = settings.authentication.github
    if github is None:
        return
    if not (
        github.allowed_users or github.allowed_organizations or github.allowed_teams or github.admin_users
    ):
        yield Problem(
            path=key_path("authentication", "github"),
            message="lets nobody in; list names in allowed_organizations, allowed_teams, allowed_users or "
            "admin_users",
        )
    yield from _sent_back(settings, "GitHub")
    if settings.secrets.github_client_secret is None:
        yield missing_secret("github_client_secret")


def cilogon_is_complete(settings: Settings) -> Iterator[Problem]:
    """CILogon is told who we are, and lets somebody in."""
    cilogon = settings.authentication.cilogon
    if cilogon is None:
        return
    everyone = any(provider.allow_all for provider in cilogon.allowed_idps.values())
    if not (everyone or cilogon.allowed_users or cilogon.admin_users):
        yield Problem(
            path=key_path("authentication", "cilogon"),
            message="lets nobody in; list names in allowed_users or admin_users, or set allow_all: true for "
            "an identity provider",
        )
    yield from _sent_back(settings, "CILogon")
    if settings.secrets.cilogon_client_secret is None:
        yield missing_secret("cilogon_client_secret")


def _sent_back(settings: Settings, who: str) -> Iterator[Problem]:
    if settings.hub.host is None:
        yield Problem(
            path=key_path("hub", "host"),
            message=f"is missing; {who} sends users back to it, so set the hub's full host name",
        )
    elif settings.tls is None:
        yield Problem(
            path=key_path("tls"),
            message=f"is missing; {who} sends users back to https://{settings.hub.host}, where nothing "
            "answers without it; set its email",
        )


def public_workshop_has_a_password(settings: Settings) -> Iterator[Problem]:
    """With a public name and no password anyone could log in as anyone."""
    if (
        settings.authentication.workshop
        and settings.hub.host is not None
        and settings.secrets.workshop_password is None
    ):
        yield missing_secret("workshop_password")


def certificate_has_a_name(settings: Settings) -> Iterator[Problem]:
    """A certificate is for a host name; only another ACME server needs a CA of its own."""
    tls = settings.tls
    if tls is None:
        return
    if settings.hub.host is None:
        yield Problem(
            path=key_path("hub", "host"),
            message="is missing; a certificate is for a name, so set the hub's full host name",
        )
    if tls.acme_ca is not None and not tls.acme.startswith("https://"):
        yield Problem(
            path=key_path("tls", "acme_ca"),
            message=f"has no meaning with acme: {tls.acme}, which every system knows; remove it",
        )


def record_is_in_its_zone(settings: Settings) -> Iterator[Problem]:
    """The host name is in the zone, and there is an address to point it at."""
    dns, host = settings.dns, settings.hub.host
    if dns is None:
        return
    if settings.tls is None:
        yield Problem(
            path=key_path("dns"),
            message=f"has no address to point at without {key_path('tls')}; set that too, or remove this",
        )
    if host is None:
        yield Problem(
            path=key_path("hub", "host"),
            message=f"is missing; set the name whose record goes into the zone {dns.zone}",
        )
    elif not f".{host}.".endswith(f".{dns.zone}"):
        yield Problem(
            path=key_path("dns", "zone"),
            value=dns.zone,
            message=f"does not hold the host {host}; name the zone at the end of the host's name",
        )


def production_is_kept(settings: Settings) -> Iterator[Problem]:
    """Production has no choice that is only good for rehearsals."""
    if not settings.production:
        return
    if settings.authentication.workshop:
        yield Problem(
            path=key_path("authentication", "workshop"),
            value=True,
            message="lets strangers in, which gateway:production forbids; set up github or cilogon instead",
        )
    if settings.storage.reclaim_policy == "Delete":
        yield Problem(
            path=key_path("storage", "reclaim_policy"),
            value="Delete",
            message="deletes homes with their claims, which gateway:production forbids; set Retain",
        )
    if settings.tls is None:
        yield Problem(
            path=key_path("tls"),
            message="is missing; gateway:production sends no password over plain HTTP, so set its email",
        )
    elif settings.tls.acme == "staging":
        yield Problem(
            path=key_path("tls", "acme"),
            value="staging",
            message="gives certificates that no browser trusts, which gateway:production forbids; "
            "set production",
        )
