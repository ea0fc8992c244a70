"""What a day would have burnt under other pools.

The autoscaler keeps the pools' burn P (SU/h) between a floor F and a ceiling C, and within them follows the
demand D, so that over a day ``P = E[min(C, max(F, D))]``. Demand within a day swings far more than one
figure a day can show (a real hub's busiest hour had 28 times the clicks of its quietest), so D is taken as
exponentially distributed with mean m, which gives

    P = F + m (exp(-F/m) - exp(-C/m))

The burn seen under one plan tells m, and m the burn under another plan. Under the same plan nothing changes.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between what the burn of a set of nodes can move, in SU/h.

    Attributes:
        fixed: of the nodes that always run.
        floor, ceiling: of the pools alone, at their fewest and most nodes.
    """

    fixed: float = 0.0
    floor: float = 0.0
    ceiling: float = math.inf

    @property
    def least(self) -> float:
        """SU/h when nobody uses the pools."""
        return self.fixed + self.floor

    @property
    def most(self) -> float:
        """SU/h when every pool is full."""
        return self.fixed + self.ceiling


UNBOUNDED = Bounds()
"""When no plan is known: all of the burn follows demand."""


def pool_burn(mean_demand: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float64]:
    """The pools' mean burn in SU/h under a mean demand in SU/h, by the formula above."""
    mean = np.maximum(mean_demand, 1e-9)
    between = mean * (np.exp(-bounds.floor / mean) - np.exp(-bounds.ceiling / mean))
    return np.asarray(bounds.floor + between, dtype=np.float64)


def mean_demand(pool_burn_seen: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float64]:
    """The mean demand in SU/h that explains the pools' mean burn: the inverse of ``pool_burn``.

    A burn at the floor or below is explained by no demand. A burn near the ceiling leaves the demand open;
    it is taken as three times the ceiling at most, where the formula gives 84 % of the way from no floor to
    the ceiling.
    """
    highest = 3 * bounds.ceiling if math.isfinite(bounds.ceiling) else None
    if bounds.floor == 0 and highest is None:
        return np.maximum(pool_burn_seen, 0.0)
    # The burn rises with the demand, so halving an interval finds it; without a ceiling burn ≥ demand.
    low = np.zeros_like(pool_burn_seen)
    high = np.full_like(pool_burn_seen, highest) if highest is not None else np.maximum(pool_burn_seen, 0.0)
    for _ in range(40):
        middle = (low + high) / 2
        enough = pool_burn(middle, bounds) >= pool_burn_seen
        high = np.where(enough, middle, high)
        low = np.where(enough, low, middle)
    return (low + high) / 2


def restated(burn: NDArray[np.float64], seen: Bounds, wanted: Bounds) -> NDArray[np.float64]:
    """The burn that days with a burn under some bounds would have had under others.

    Args:
        burn: SU/h, of all nodes together.
        seen: the bounds it happened under.
        wanted: the bounds asked about.

    Returns:
        SU/h, of the same shape; the same figures if both bounds are the same. What was burnt less than the
        least of the bounds seen, that much less it is under the others.
    """
    if seen == wanted:
        return burn
    pools = burn - seen.fixed
    # Nodes that the plan had and that did not run do not begin to with another plan. Of days from before any
    # plan it is not known what should have run.
    short = np.minimum(pools - seen.floor, 0.0) if math.isfinite(seen.ceiling) else np.zeros_like(pools)
    pools = pools - short
    made = pool_burn(mean_demand(pools, seen), wanted)
    # Where the burn leaves the demand open, as at the ceiling, it still tells which of the two is larger.
    if wanted.floor >= seen.floor and wanted.ceiling >= seen.ceiling:
        made = np.maximum(made, np.minimum(pools, seen.ceiling))
    if wanted.floor <= seen.floor and wanted.ceiling <= seen.ceiling:
        made = np.minimum(made, np.maximum(pools, seen.floor))
    return wanted.fixed + made + short
