"""Whether a pattern of the paper shows here, in a sentence, and what it would take to be chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genagent_study.over_seeds import OverSeeds
from genagent_study.paired import Difference, difference
from genagent_study.result import Answers

Verdict = Literal["shows", "shows weakly", "does not show", "shows the opposite"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A claim that one figure is above another.

    - shows: the mean is above 0, and so is its 95 % interval over seeds. Where all seeds are alike
      the interval is a point and proves nothing: then p of the signs has to be below .05.
    - shows weakly: not so, but the mean is, and so is each of two or three seeds, or all but one of
      more. Where nothing is there one claim in five gets that far with five seeds, one in eight
      with three, one in four with two.
    - shows the opposite: the claim turned around shows.
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
        measured = self.measured
        if measured.p_value < 0.05:
            return "shows" if measured.value > 0 else "shows the opposite"
        opposing = measured.n - measured.agreeing(1)
        is_weak = measured.n > 1 and measured.value > 0 and opposing <= (measured.n > 3)
        return "shows weakly" if is_weak else "does not show"

    @property
    def figure(self) -> str:
        """Example: ``+12.3 points [+8.0, +16.6]``"""
        low, high = self.measured.interval
        unit = " points" if self.in_percent else ""
        interval = f" [{self._number(low)}, {self._number(high)}]" if self.measured.n > 1 else ""
        return f"{self._number(self.measured.value)}{unit}{interval}"

    @property
    def chance(self) -> str:
        """How often chance alone would give it: a sentence."""
        measured, n = self.measured, self.measured.n
        if n < 2:
            return "One seed cannot tell it from chance."
        high = measured.interval[1]
        if self.verdict == "does not show":
            unit = " points" if self.in_percent else ""
            hidden = (
                f"A true difference of up to {self._number(high)}{unit} could have hidden from {n} "
                "seeds by chance; a larger one would come out so low in one study of 40 at most."
            )
            return hidden if high > 0 else ""
        side = 1 if measured.value > 0 else -1
        how = f"would average this much or more to one side with p = {_p(measured.p_value)}"
        if measured.agreeing(side) == n:
            whole = "both" if n == 2 else f"all {n}"
            how += f", and {whole} lie on one side with p = {_p(measured.sign_p_value)}"
        return f"If there were no difference, {n} seeds {how}."

    @property
    def requests(self) -> str:
        """The same by requests, where there are pairs; empty else."""
        if self.pairs is None or self.pairs.requests is None:
            return ""
        known = self.pairs.requests
        return (
            f"Of {known.trials:,} requests {known.second_only:,} speak for it and "
            f"{known.first_only:,} against (exact McNemar p = {_p(known.p_value)}, "
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


def against(
    one: Sequence[Answers], other: Sequence[Answers], claim: str, known: str = ""
) -> Pattern:
    """That the other's success is above the one's, on the same requests.

    Args:
        known: what the paper has.
    """
    pairs = difference([(a.success, b.success) for a, b in zip(one, other, strict=True)])
    return Pattern(claim=claim, measured=pairs.by_seed, pairs=pairs, paper=known)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
