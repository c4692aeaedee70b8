"""A figure of each seed, and what they say together.

A seed is the unit: it changes what is trained, on which requests, which requests are asked in the
end, and the noise of pictures. Requests of one seed share one policy, so that a test over requests
alone would take a lucky training for an effect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class OverSeeds:
    """Example: ``OverSeeds(values=(0.11, 0.14, 0.09)).value == 0.11333333333333334``"""

    values: tuple[float, ...]
    """One a seed."""

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"values is {self.values}; wants a finite number or more")

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def value(self) -> float:
        """The mean."""
        return math.fsum(self.values) / self.n

    @property
    def error(self) -> float:
        """Standard error of the mean; infinite for one seed."""
        if self.n < 2:
            return math.inf
        squares = math.fsum((one - self.value) ** 2 for one in self.values)
        return math.sqrt(squares / (self.n - 1) / self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Student's t with one degree of freedom less than seeds; without end for one."""
        if self.n < 2:
            return -math.inf, math.inf
        from scipy.stats import t

        half = float(t.ppf(0.975, self.n - 1)) * self.error
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        """Two-sided, of the t test against 0. Seeds that are all alike leave it no measure of
        chance: then that of the signs."""
        if self.n < 2:
            return 1.0
        if self.error <= 1e-12 * abs(self.value) or self.value == 0:
            return 1.0 if self.value == 0 else self.sign_p_value
        from scipy.stats import t

        return float(2 * t.sf(abs(self.value) / self.error, self.n - 1))

    def agreeing(self, side: int) -> int:
        """Seeds above 0, or below it for a negative ``side``."""
        return sum(one * side > 0 for one in self.values)

    @property
    def sign_p_value(self) -> float:
        """Two-sided, that as many or more of the seeds fall to one side, whatever their size."""
        from scipy.stats import binomtest

        above, below = self.agreeing(1), self.agreeing(-1)
        return float(binomtest(above, above + below).pvalue) if above + below else 1.0


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Raises ValueError where there is none."""
    return OverSeeds(values=tuple(values))


def minus(one: OverSeeds, other: OverSeeds) -> OverSeeds:
    """Seed by seed. Raises ValueError where they have not the same number of seeds."""
    return over_seeds([a - b for a, b in zip(one.values, other.values, strict=True)])


def in_percent(figure: OverSeeds) -> OverSeeds:
    """Of shares, seed by seed."""
    return over_seeds([100 * one for one in figure.values])
