"""How an agent goes about it: what Table 1 of the paper sees in agents before and after learning.

An untaught agent breaks the protocol, hands the request on as it is, and gains nothing by looking
at what was drawn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from rapidfuzz.distance import Levenshtein

from genagent_worlds.outcomes import Outcome
from genagent_worlds.paired import PairedDifference, paired_difference
from genagent_worlds.rates import Rate, rate

NEAR = 5
"""Words between a request and a prompt that hardly says more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conduct:
    """Measured on attempts, each with its 95 % interval."""

    broken_turns: Rate
    """Turns that break the protocol, of all the agent said."""
    first_prompt_near: Rate
    """First prompts within ``NEAR`` words of the request, of the attempts that have a prompt."""
    last_prompt_near: Rate
    reflection_gain: PairedDifference
    """Success by the last picture minus success by the first, on the same attempts."""
    over_reflection: Rate
    """Attempts in which a picture fails after one that passed, of those in which one passed."""

    def metrics(self) -> dict[str, float]:
        """Values by metric name; a share of nothing is left out."""
        return {name: share.value for name, share in self.shares().items() if share.trials}

    def figures(self) -> dict[str, dict[str, object]]:
        """For a run's summary.

        Example: ``{"broken_turns": {"value": 0.1, "interval_95": (0.08, 0.12), "n": 800}, …}``
        """
        return {
            name: {"value": share.value, "interval_95": share.interval, "n": share.trials}
            for name, share in self.shares().items()
        }

    def shares(self) -> dict[str, Rate | PairedDifference]:
        """All of them by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def conduct(outcomes: Sequence[Outcome]) -> Conduct:
    """What these attempts show of the agent; what a failed tool ended counts as far as it got."""
    errors = sum(outcome.trajectory.ending == "format_error" for outcome in outcomes)
    turns = sum(turns_said(outcome) for outcome in outcomes)
    return Conduct(
        broken_turns=Rate(hits=errors, trials=turns),
        first_prompt_near=rate([is_near(outcome, "first") for outcome in outcomes]),
        last_prompt_near=rate([is_near(outcome, "last") for outcome in outcomes]),
        reflection_gain=paired_difference([(o.first_success, o.success) for o in outcomes]),
        over_reflection=rate([spoils(outcome) for outcome in outcomes]),
    )


def conduct_rows(before: Conduct, after: Conduct) -> list[dict[str, str]]:
    """Rows of a table, percent with 95 % intervals; ``n`` is of what stands before it.

    Example: ``{"measured": "broken turns", "before": "13.1 [11.0, 15.5]", "n": "812", "after":
    "0.2 [0.1, 0.9]", "n ": "930"}``
    """
    return [
        {
            "measured": name.replace("_", " "),
            "before": _percent(one),
            "n": str(one.trials),
            "after": _percent(other),
            "n ": str(other.trials),
        }
        for (name, one), other in zip(before.shares().items(), after.shares().values(), strict=True)
    ]


def turns_said(outcome: Outcome) -> int:
    """Turns of the agent: one for each call, and one that ended it unless the tool did. None where
    the number of pictures was fixed: that is no agent's."""
    if outcome.trajectory.ending == "fixed":
        return 0
    return len(outcome.trajectory.rounds) + (not outcome.service_failed)


def word_distance(one: str, other: str) -> int:
    """Words to insert, delete or replace that lead from one text to the other (Levenshtein), by
    letters and digits alone, in lower case."""
    return Levenshtein.distance(_words(one), _words(other))


def is_near(outcome: Outcome, which: Literal["first", "last"], *, words: int = NEAR) -> bool | None:
    """Whether the attempt's first or last prompt is within so many words of the request; None where
    the tool was never called."""
    rounds = outcome.trajectory.rounds
    if not rounds:
        return None
    prompt = rounds[0 if which == "first" else -1].tool_prompt
    return word_distance(outcome.request.prompt, prompt) <= words


def spoils(outcome: Outcome) -> bool | None:
    """Whether a picture fails after one that passed; None where none passed or a verdict is
    missing."""
    if None in outcome.passed or True not in outcome.passed:
        return None
    return False in outcome.passed[outcome.passed.index(True) :]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _percent(share: Rate | PairedDifference) -> str:
    if not share.trials:
        return "unknown"
    low, high = share.interval
    return f"{100 * share.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
