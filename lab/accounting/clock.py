"""The lab's clock: the real time, until it is sped up or jumps ahead."""

from __future__ import annotations

import re

import pydantic

from lab.errors import LabError

DAY = 86400.0
LATEST = 32503680000.0
"""The year 3000, in seconds since the epoch: where the clock stops, since calendars end."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


class Clock(pydantic.BaseModel):
    """A clock that showed ``shown`` at the real time ``real`` and goes on from there.

    Attributes:
        real, shown: seconds since the epoch.
        speed: seconds it goes per real second; 0 stops it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    real: float
    shown: float
    speed: float = pydantic.Field(default=1.0, ge=0)

    def at(self, real: float) -> float:
        """What it shows at a real time; never less than before, should the real clock be put back."""
        return min(LATEST, self.shown + self.speed * max(0.0, real - self.real))

    def jumped(self, seconds: float, *, real: float) -> Clock:
        """The clock put ahead."""
        return Clock(real=real, shown=self.at(real) + seconds, speed=self.speed)

    def sped(self, speed: float, *, real: float) -> Clock:
        """The clock at another speed from now on."""
        return Clock(real=real, shown=self.at(real), speed=speed)


def real_clock(real: float) -> Clock:
    """The clock that shows the real time."""
    return Clock(real=real, shown=real)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``60d``, ``12h``, ``30m`` or ``90s``.

    Raises:
        LabError: if it is none, or not above 0 and at most 100 years.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 36500 * DAY:
        raise LabError(
            f"{text!r} is no time to jump; write a number above 0 and a unit, such as 60d, 12h, 30m or 90s."
        )
    return seconds
