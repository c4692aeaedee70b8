"""A difference of two shares of the same attempts, with its uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from genagent_worlds.rates import Rate


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """How much more often the second of two outcomes is a success than the first.

    Example: ``PairedDifference(both=36, first_only=2, second_only=12, neither=0).value == 0.2``
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def trials(self) -> int:
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def value(self) -> float:
        return (self.second_only - self.first_only) / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by squaring and adding Wilson limits with a correction for the correlation:
        method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635-2650."""
        if not self.trials:
            return -1.0, 1.0
        second = Rate(hits=self.both + self.second_only, trials=self.trials)
        first = Rate(hits=self.both + self.first_only, trials=self.trials)
        (low2, high2), (low1, high1) = second.interval, first.interval
        down2, up2 = second.value - low2, high2 - second.value
        down1, up1 = first.value - low1, high1 - first.value
        phi = self._correlation()
        below = sqrt(max(0.0, down2**2 - 2 * phi * down2 * up1 + up1**2))
        above = sqrt(max(0.0, up2**2 - 2 * phi * up2 * down1 + down1**2))
        return self.value - below, self.value + above

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided: how likely so uneven a change of single outcomes is by
        chance."""
        from scipy.stats import binomtest

        uneven = self.first_only + self.second_only
        return float(binomtest(self.second_only, uneven).pvalue) if uneven else 1.0

    def _correlation(self) -> float:
        """Of the two outcomes, with Newcombe's continuity correction; 0 where one never varies."""
        margins = (
            (self.both + self.second_only)
            * (self.neither + self.first_only)
            * (self.both + self.first_only)
            * (self.neither + self.second_only)
        )
        if margins == 0:
            return 0.0
        product = self.both * self.neither - self.first_only * self.second_only
        if product > 0:
            product = max(product - self.trials / 2, 0.0)
        return product / sqrt(margins)


def paired_difference(pairs: Sequence[tuple[bool | None, bool | None]]) -> PairedDifference:
    """Second minus first; a pair of which one is unknown is no trial."""
    known = [pair for pair in pairs if None not in pair]
    return PairedDifference(
        both=known.count((True, True)),
        first_only=known.count((True, False)),
        second_only=known.count((False, True)),
        neither=known.count((False, False)),
    )
