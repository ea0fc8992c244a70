"""Settings of what is kept: homes, the shared drive, the hub's database and its copies."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from stacks.settings_base import Section, Text


class SharedDrive(Section):
    """One drive that all users see as /share."""

    size_gib: int = Field(ge=1, le=100_000, description="its size in GiB")
    writable: bool = Field(default=False, description="true lets every user write to it")
    kind: Literal["cinder", "manila"] = Field(
        default="cinder",
        description="cinder is a volume that the program serves, manila a share of the cloud",
    )


class Storage(Section):
    """Volumes of users' homes, of the shared drive and of the hub's database."""

    reclaim_policy: Literal["Delete", "Retain"] = Field(
        description="Retain keeps a volume when its claim is deleted, Delete deletes it"
    )
    home_gib: int = Field(default=10, ge=1, le=1000, description="size of each user's home in GiB")
    homes: Literal["volume", "shared"] = Field(
        default="volume", description="volume is one for each user, shared is one for all with a quota each"
    )
    homes_volume_gib: int | None = Field(
        default=None, ge=1, le=100_000, description="size in GiB of the one volume of shared homes"
    )
    shared_drive: SharedDrive | None = Field(default=None, description="the drive /share; null for none")
    hub_database_gib: int = Field(
        default=1, ge=1, le=100, description="size of the hub's database volume in GiB"
    )


_CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)


class Backup(Section):
    """Copies of the hub's database: on a schedule, and before each upgrade of its chart."""

    schedule: Text = Field(default="17 3 * * *", description="when, as five fields of cron in UTC")
    keep: int = Field(default=14, ge=1, le=365, description="newest copies to keep")
    size_gib: int = Field(default=5, ge=1, le=1000, description="size in GiB of the volume of the copies")

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, text: str) -> str:
        fields = text.split()
        if len(fields) != len(_CRON_FIELDS):
            raise ValueError("does not have the five fields of cron; write one such as 17 3 * * *")
        for field, (name, least, most) in zip(fields, _CRON_FIELDS, strict=True):
            if not all(_is_cron_part(part, least, most) for part in field.split(",")):
                raise ValueError(
                    f"has no {name} in {field}; write * or numbers from {least} to {most}, as in 17 3 * * *"
                )
        return text


def _is_cron_part(part: str, least: int, most: int) -> bool:
    match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
    if match is None:
        return False
    first, last = (int(number) for number in (match[1] or least, match[2] or match[1] or most))
    return least <= first <= last <= most
