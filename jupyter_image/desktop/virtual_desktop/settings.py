"""The settings, read from environment variables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

IDLE = "VIRTUAL_DESKTOP_IDLE_MINUTES"
PAUSE = "VIRTUAL_DESKTOP_PAUSE_MINUTES"
SIZE = "VIRTUAL_DESKTOP_SIZE"

MOST_MINUTES = 7 * 24 * 60
SMALLEST_SIDE, LARGEST_SIDE = 200, 8192
"""Pixels. Below, XFCE's panel no longer fits; above, noVNC's canvas fails in some browsers."""


class SettingsError(ValueError):
    """A setting is wrong; the text names it, its value and the cure."""


@dataclasses.dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def within(self, largest: Size) -> Size:
        """The nearest size that a screen of at most this size can have."""
        return Size(
            max(SMALLEST_SIDE, min(self.width, largest.width)),
            max(SMALLEST_SIDE, min(self.height, largest.height)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How the desktop behaves.

    Attributes:
        idle_minutes: without input for so long, its programs are stopped.
        pause_minutes: without input for so long, an open page asks for no more pictures.
        largest: the size of the screen at most; memory for it is taken once.
    """

    idle_minutes: float = 60
    pause_minutes: float = 5
    largest: Size = Size(2560, 1600)


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment describes; what it does not name has its default.

    Raises:
        SettingsError: if one is wrong.
    """
    return Settings(
        idle_minutes=_minutes(environment, IDLE, Settings.idle_minutes),
        pause_minutes=_minutes(environment, PAUSE, Settings.pause_minutes),
        largest=_size(environment, SIZE, Settings.largest),
    )


def _minutes(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    # Also false for "nan".
    if not 0 < minutes <= MOST_MINUTES:
        raise SettingsError(
            f"{name}={text!r} is not a number of minutes; give one above 0 and up to {MOST_MINUTES}, "
            f"such as {default:g}."
        )
    return minutes


def _size(environment: Mapping[str, str], name: str, default: Size) -> Size:
    text = environment.get(name, "").strip()
    if not text:
        return default
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    size = Size(int(found[1]), int(found[2])) if found else Size(0, 0)
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (size.width, size.height)):
        raise SettingsError(
            f"{name}={text!r} is not a size; give WIDTHxHEIGHT, each {SMALLEST_SIDE} to {LARGEST_SIDE} "
            f"pixels, such as {default}."
        )
    return size
