"""The users' container image, and who pulls it."""

from __future__ import annotations

import dataclasses

from components.hub_values import Values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """A container image.

    Attributes:
        name: registry and name.
        tag: for people where there is a digest, else for the node.
        digest: ``sha256:…``; it decides where given.
    """

    name: str
    tag: str
    digest: str | None = None

    @property
    def full_tag(self) -> str:
        """What follows the colon: a node that reads a digest pulls that, and ignores the tag before it."""
        return self.tag if self.digest is None else f"{self.tag}@{self.digest}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registry:
    """Who pulls the image, where it is not public.

    Attributes:
        server: the registry's address.
        username: who pulls.
        password: a secret.
    """

    server: str
    username: str
    password: object = dataclasses.field(repr=False)


def image_values(image: Image, registry: Registry | None) -> Values:
    """The image of users' servers, and the secret that every pod of the chart pulls with."""
    values: Values = {"singleuser": {"image": {"name": image.name, "tag": image.full_tag}}}
    if registry is not None:
        values["imagePullSecret"] = {
            "create": True,
            "registry": registry.server,
            "username": registry.username,
            "password": registry.password,
        }
    return values
