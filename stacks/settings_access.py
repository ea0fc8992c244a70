"""Settings of how users reach the hub and who they are: sign-in, certificate, host name, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from stacks.settings_base import EmailAddress, EntityId, Organization, Section, Team, Text, UserName, ZoneName


class GitHub(Section):
    """Who may log in with GitHub."""

    client_id: Text = Field(description="client id of the GitHub OAuth application")
    allowed_organizations: tuple[Organization, ...] = Field(default=(), description="all members may log in")
    allowed_teams: tuple[Team, ...] = Field(
        default=(), description="all members may log in; written organization:team"
    )
    allowed_users: tuple[UserName, ...] = Field(default=(), description="GitHub names")
    admin_users: tuple[UserName, ...] = Field(default=(), description="GitHub names")


class IdentityProvider(Section):
    """A university or other institution whose members CILogon knows."""

    username_claim: Literal["email", "eppn", "eptid", "oidc", "preferred_username", "sub"] = Field(
        description="what of the answer becomes the user's name, such as email"
    )
    allow_all: bool = Field(default=False, description="true lets all its members in")


class CILogon(Section):
    """Who may log in with CILogon, a service of research and education."""

    client_id: Text = Field(description="client id of the CILogon application")
    allowed_idps: Mapping[EntityId, IdentityProvider] = Field(
        min_length=1, description="identity providers by entity id, at least one"
    )
    allowed_users: tuple[UserName, ...] = Field(default=(), description="names as the claim gives them")
    admin_users: tuple[UserName, ...] = Field(default=(), description="names as the claim gives them")


class Authentication(Section):
    """How users log in: one of the three."""

    github: GitHub | None = Field(default=None, description="GitHub OAuth")
    cilogon: CILogon | None = Field(default=None, description="CILogon")
    workshop: bool = Field(
        default=False, description="any name, with one shared password or none: for rehearsals only"
    )


class Tls(Section):
    """The certificate of the host name, from a server that speaks ACME."""

    email: EmailAddress = Field(description="whom the certificate authority writes to")
    acme: Text = Field(
        default="production",
        description="Let's Encrypt's production or staging, or the https address of another ACME server",
    )
    acme_ca: Text | None = Field(
        default=None, description="certificate in PEM that another ACME server is itself known by"
    )

    @field_validator("acme")
    @classmethod
    def _is_known(cls, acme: str) -> str:
        if acme not in ("production", "staging") and not acme.startswith("https://"):
            raise ValueError("is no ACME server; set production, staging or an address with https://")
        return acme

    @field_validator("acme_ca")
    @classmethod
    def _is_pem(cls, text: str | None) -> str | None:
        if text is not None and not (
            "-----BEGIN CERTIFICATE-----" in text and "-----END CERTIFICATE-----" in text
        ):
            raise ValueError("is no certificate; give the text between BEGIN and END CERTIFICATE with both")
        return text


class Dns(Section):
    """The zone in which the host name's record is made."""

    zone: ZoneName = Field(description="name of a zone in Designate, with a dot at its end")


class Secrets(Section):
    """What is kept encrypted in the stack's file; set with ``pulumi config set --secret --path``."""

    github_client_secret: SecretStr | None = Field(
        default=None, min_length=8, description="client secret of the OAuth application"
    )
    cilogon_client_secret: SecretStr | None = Field(
        default=None, min_length=8, description="client secret of the CILogon application"
    )
    workshop_password: SecretStr | None = Field(
        default=None, min_length=8, description="the password that all users share"
    )
    registry_password: SecretStr | None = Field(
        default=None, min_length=1, description="password or token for the image's registry"
    )
