"""What all sections of the settings are made of: the closed section itself, and the forms of texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Section(BaseModel):
    """A group of settings: closed, so that a misspelt key is an error, and unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


Text = Annotated[str, StringConstraints(min_length=1)]
DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
PoolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]+[a-z0-9]$", max_length=63)]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=63)]
ZoneName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+$", max_length=253)]
ExactVersion = Annotated[str, StringConstraints(pattern=r"^v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EmailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
EntityId = Annotated[str, StringConstraints(pattern=r"^(urn|https?):\S+$")]

# JupyterHub lower-cases the names of those who log in, and so do we: Jane and jane are one person.
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", to_lower=True)]
Organization = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", to_lower=True)]
Team = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*:[A-Za-z0-9_.-]+$", to_lower=True)]
