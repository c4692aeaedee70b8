"""Whether a pattern of the paper shows here, in a sentence, and what it would take to be chance."""

from dataclasses import dataclass
from typing import Literal

from genagent_study.over_seeds import OverSeeds
from genagent_study.paired import Difference

Verdict = Literal["shows", "shows weakly", "does not show", "shows the opposite"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A claim that one figure is above another.

    - shows: the 95 % interval over seeds is above 0.
    - shows weakly: it is not, but the mean is, and at most one seed of three or more is not.
    - shows the opposite: the interval is below 0.
    - does not show: anything else.

    Example: ``Pattern(claim="The agent beats the tool alone", measured=difference.by_seed)``
    """

    claim: str
    measured: OverSeeds
    """Of the difference that the claim says is above 0."""
    in_percent: bool = True
    """It is a difference of shares, told in points."""
    paper: str = ""
    """What the paper has, where it is known."""
    pairs: Difference | None = None
    """The same on requests, where the figure is a difference of two answers to each."""

    @property
    def verdict(self) -> Verdict:
        low, high = self.measured.interval
        if low > 0:
            return "shows"
        if high < 0:
            return "shows the opposite"
        against = self.measured.n - self.measured.agreeing(1)
        allowed = 1 if self.measured.n > 2 else 0
        return "shows weakly" if self.measured.value > 0 and against <= allowed else "does not show"

    @property
    def figure(self) -> str:
        """Example: ``+12.3 points [+8.0, +16.6]``"""
        low, high = self.measured.interval
        unit = " points" if self.in_percent else ""
        interval = f" [{self._number(low)}, {self._number(high)}]" if self.measured.n > 1 else ""
        return f"{self._number(self.measured.value)}{unit}{interval}"

    @property
    def chance(self) -> str:
        """What would have to be true for it to be chance: a sentence."""
        measured, n = self.measured, self.measured.n
        if n < 2:
            return "One seed cannot tell it from chance."
        mean, high = self._number(abs(measured.value)), self._number(measured.interval[1])
        unit = " points" if self.in_percent else ""
        if self.verdict == "does not show":
            return (
                f"A true difference of up to {high}{unit} could have hidden from {n} seeds by "
                "chance; a larger one not."
                if measured.interval[1] > 0
                else ""
            )
        side = 1 if measured.value > 0 else -1
        said = (
            f"To be chance, there would have to be no difference at all and {n} seeds would still "
            f"have to average {mean.lstrip('+')}{unit} or more to one side, "
            f"{abs(measured.value) / max(measured.error, 1e-12):.1f} standard errors from 0 "
            f"(p = {_p(measured.p_value)})"
        )
        if measured.agreeing(side) == n:
            said += f", and all {n} to fall to that side (p = {_p(measured.sign_p_value)})"
        return f"{said}."

    @property
    def requests(self) -> str:
        """The same by requests, where there are pairs; empty else."""
        if self.pairs is None:
            return ""
        known = self.pairs.requests
        return (
            f"Of {known.trials:,} requests {known.second_only:,} were won and "
            f"{known.first_only:,} lost (exact McNemar p = {_p(self.pairs.requests_p_value)}, "
            "given these trainings)."
        )

    def sentence(self) -> str:
        """All of it in words."""
        n = self.measured.n
        seeds = f"{n} seeds" if n > 1 else "one seed"
        agree = f", above 0 in {self.measured.agreeing(1)} of them" if n > 1 else ""
        first = f"{self.claim}: {self.verdict}, {self.figure} over {seeds}{agree}."
        return " ".join(filter(None, (first, self.requests, self.chance)))

    def _number(self, value: float) -> str:
        return f"{100 * value:+.1f}" if self.in_percent else f"{value:+.3g}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
