"""A mean with its uncertainty, where values are no mere yes and no."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genagent_worlds.rates import Rate

DRAWS = 2000
"""Bootstrap samples: the standard error of either limit of a 95 % interval is 1.5 % of its width
where means are normal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean with a 95 % interval, of ``n`` values.

    Example: ``Estimate(value=0.561, interval=(0.504, 0.618), n=280)``
    """

    value: float
    interval: tuple[float, float]
    n: int

    def figures(self) -> dict[str, object]:
        """For a summary: ``{"value": 0.561, "interval_95": (0.504, 0.618), "n": 280}``."""
        return {"value": self.value, "interval_95": self.interval, "n": self.n}


def mean_estimate(values: Sequence[float], *, seed: int = 0) -> Estimate | None:
    """The mean with a percentile bootstrap interval (Efron 1979), or Wilson's for yes and no.

    None where there is no value.
    """
    if not values:
        return None
    if set(values) <= {0.0, 1.0}:
        # A bootstrap of equal values would say that nothing is uncertain.
        share = Rate(hits=int(sum(values)), trials=len(values))
        return Estimate(value=share.value, interval=share.interval, n=share.trials)
    known = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(known), (DRAWS, len(known)))
    low, high = np.percentile(known[draws].mean(axis=1), (2.5, 97.5))
    return Estimate(value=float(known.mean()), interval=(float(low), float(high)), n=len(known))
