"""What a model expects, before anything is said of how sure it is."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """Expected use from now to the allocation's end.

    Attributes:
        times: shape (n,), n ≥ 2, ascending, seconds since the epoch.
        expected: shape (n,), never falling, SU used at those times.
        spread: shape (n,), standard deviation of ``expected`` in SU as far as the model itself can tell.
        least, most: shape (n,), SU between which the plan keeps the use; spread or not, it cannot leave them.
        known_until: when the last reported figure was true, seconds since the epoch, as far as the model
            minds.
        fallback: as in ``Forecast``.
    """

    times: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    known_until: float
    fallback: str | None
