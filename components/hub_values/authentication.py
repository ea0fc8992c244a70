"""Who may log in, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from components.hub_values import Values


@dataclasses.dataclass(frozen=True, kw_only=True)
class GitHubLogin:
    """Log in with GitHub.

    Attributes:
        host: the hub's full host name, to which GitHub sends users back.
        client_id: of the OAuth application.
        client_secret: of the OAuth application; a secret.
        allowed_organizations: whose members may log in.
        allowed_teams: ``organization:team``, whose members may log in.
        allowed_users: who else may.
        admin_users: who may also administer the hub.
    """

    host: str
    client_id: str
    client_secret: object = dataclasses.field(repr=False)
    allowed_organizations: Sequence[str]
    allowed_teams: Sequence[str]
    allowed_users: Sequence[str]
    admin_users: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdentityProvider:
    """An institution whose members CILogon knows.

    Attributes:
        username_claim: what becomes the user's name.
        allow_all: whether all its members may log in.
    """

    username_claim: str
    allow_all: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class CILogonLogin:
    """Log in with CILogon.

    Attributes:
        host: the hub's full host name, to which CILogon sends users back.
        client_id: of the OAuth application.
        client_secret: of the OAuth application; a secret.
        providers: institutions by entity id; no other is offered.
        allowed_users: who may log in.
        admin_users: who may also administer the hub.
    """

    host: str
    client_id: str
    client_secret: object = dataclasses.field(repr=False)
    providers: Mapping[str, IdentityProvider]
    allowed_users: Sequence[str]
    admin_users: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkshopLogin:
    """Log in with any name.

    Attributes:
        password: the one all share, a secret; None for a hub that only its operator can reach.
    """

    password: object | None = dataclasses.field(repr=False)


Login = GitHubLogin | CILogonLogin | WorkshopLogin


def authentication_values(login: Login) -> Values:
    """The authenticator's class and its settings."""
    if isinstance(login, WorkshopLogin):
        config = _workshop(login)
    elif isinstance(login, CILogonLogin):
        config = _cilogon(login)
    else:
        config = _github(login)
    return {"hub": {"config": config}}


def _workshop(login: WorkshopLogin) -> Values:
    return {
        "JupyterHub": {"authenticator_class": "dummy"},
        "DummyAuthenticator": {} if login.password is None else {"password": login.password},
        "Authenticator": {"allow_all": True},
    }


def _github(login: GitHubLogin) -> Values:
    return {
        "JupyterHub": {"authenticator_class": "github"},
        "GitHubOAuthenticator": {
            **_application(login),
            # One list for both: OAuthenticator tells them apart by the colon.
            "allowed_organizations": _lower([*login.allowed_organizations, *login.allowed_teams]),
            # Without it, GitHub does not tell of private memberships.
            "scope": ["read:org"],
        },
        "Authenticator": _named(login),
    }


def _cilogon(login: CILogonLogin) -> Values:
    return {
        "JupyterHub": {"authenticator_class": "cilogon"},
        "CILogonOAuthenticator": {
            **_application(login),
            "idps": {
                entity_id: {
                    "username_derivation": {"username_claim": provider.username_claim},
                    "allow_all": provider.allow_all,
                }
                for entity_id, provider in login.providers.items()
            },
        },
        "Authenticator": _named(login),
    }


def _application(login: GitHubLogin | CILogonLogin) -> Values:
    return {
        "client_id": login.client_id,
        "client_secret": login.client_secret,
        "oauth_callback_url": f"https://{login.host}/hub/oauth_callback",
    }


def _named(login: GitHubLogin | CILogonLogin) -> Values:
    return {
        "allowed_users": _lower(login.allowed_users),
        "admin_users": _lower(login.admin_users),
        # By default whoever has logged in once may for ever, as soon as allowed_users names anybody.
        "allow_existing_users": False,
    }


def _lower(names: Sequence[str]) -> list[str]:
    """JupyterHub lower-cases the name of who logs in, and compares it with these."""
    return [name.lower() for name in names]
