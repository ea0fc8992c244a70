"""The lab's passwords: random, made once, kept in one file that only its owner can read."""

from __future__ import annotations

import dataclasses
import json
import secrets
from pathlib import Path

from lab.errors import LabError
from lab.private_files import write_private


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passwords:
    """One password per user of the lab's Keystone, and the secret of the application credential.

    The repr is empty so that none of them reaches a log or a traceback.
    """

    admin: str = dataclasses.field(repr=False)
    service: str = dataclasses.field(repr=False)
    gateway: str = dataclasses.field(repr=False)
    keeper: str = dataclasses.field(repr=False)
    application_credential: str = dataclasses.field(repr=False)


def make() -> Passwords:
    """New passwords of 192 random bits, in characters that every configuration format takes as they are."""
    return Passwords(**{field.name: secrets.token_urlsafe(24) for field in dataclasses.fields(Passwords)})


def load_or_make(path: Path) -> Passwords:
    """The passwords kept in a file, which is made with new ones if it does not exist.

    Raises:
        LabError: if the file exists but does not hold the lab's passwords.
    """
    try:
        return Passwords(**json.loads(path.read_text()))
    except FileNotFoundError:
        passwords = make()
        write_private(path, json.dumps(dataclasses.asdict(passwords), indent=2) + "\n")
        return passwords
    except (ValueError, TypeError) as error:
        raise LabError(
            f"{path} does not hold the lab's passwords. Run `python -m lab reset`, which makes a new lab."
        ) from error
