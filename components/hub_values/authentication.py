"""Who may log in, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from components.hub_values import Values


@dataclasses.dataclass(frozen=True, kw_only=True)
class GitHubLogin:
    """Log in with GitHub.

    Attributes:
        host: the hub's full host name, to which GitHub sends users back.
        client_id: of the OAuth application.
        client_secret: of the OAuth application; a secret.
        allowed_organizations: whose members may log in.
        allowed_users: who else may.
        admin_users: who may also administer the hub.
    """

    host: str
    client_id: str
    client_secret: object = dataclasses.field(repr=False)
    allowed_organizations: Sequence[str]
    allowed_users: Sequence[str]
    admin_users: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkshopLogin:
    """Log in with any name.

    Attributes:
        password: the one all share, a secret; None for a hub that only its operator can reach.
    """

    password: object | None = dataclasses.field(repr=False)


def authentication_values(login: GitHubLogin | WorkshopLogin) -> Values:
    """The authenticator's class and its settings."""
    config = _workshop(login) if isinstance(login, WorkshopLogin) else _github(login)
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
            "client_id": login.client_id,
            "client_secret": login.client_secret,
            "oauth_callback_url": f"https://{login.host}/hub/oauth_callback",
            "allowed_organizations": list(login.allowed_organizations),
            # Without it, GitHub does not tell of private memberships.
            "scope": ["read:org"],
        },
        "Authenticator": {
            "allowed_users": list(login.allowed_users),
            "admin_users": list(login.admin_users),
        },
    }
