"""A share of yes and no with its uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A share with its Wilson 95 % interval (Wilson 1927).

    Example: ``str(Rate(hits=30, trials=40)) == "75.0 % [59.8, 85.8]"``
    """

    hits: int
    trials: int

    @property
    def value(self) -> float:
        return self.hits / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        if not self.trials:
            return 0.0, 1.0
        z, n, p = 1.959964, self.trials, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    @property
    def short(self) -> str:
        """For the cell of a table, in percent. Example: ``"75 [60-86]"``"""
        low, high = self.interval
        return f"{100 * self.value:.0f} [{100 * low:.0f}-{100 * high:.0f}]"

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def rate(values: Sequence[bool | None]) -> Rate:
    """The share of True; None is a verdict that could not be had, and no trial."""
    known = [value for value in values if value is not None]
    return Rate(hits=sum(known), trials=len(known))
