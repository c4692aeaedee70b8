"""Words that an agent begins with and does not try again, or has learnt to leave out."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from genagent_worlds import Outcome, Rate, rate

_WORD = re.compile(r"\w+(?:['-]\w+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class DroppedWord:
    """A word that stands in first prompts more often than in second ones."""

    word: str
    first: Rate
    """Of the first prompts of attempts that have drawn twice, how many have it."""
    second: Rate
    """Of the second prompts of the same attempts."""
    right_with: Rate
    """First pictures of all attempts whose first prompt has it."""
    right_without: Rate


def dropped_words(outcomes: Sequence[Outcome], *, count: int) -> list[DroppedWord]:
    """Those whose share falls most from first prompts to the second ones of the same attempts, the
    largest fall first, and of equal ones by alphabet; fewer where fewer fall.

    Example: with ``outcomes`` of which one asks for ``nice circle``, then for ``circle``, the first
    is ``nice``.
    """
    drawn = [
        (
            one.passed[0],
            [_words(one.trajectory.rounds[n].tool_prompt) for n in range(len(one.passed))],
        )
        for one in outcomes
        if one.passed
    ]
    again = [prompts for _, prompts in drawn if len(prompts) > 1]
    fall: Counter[str] = Counter()
    for first, second, *_ in again:
        fall.update(first)
        fall.subtract(second)
    fallen = sorted((word for word in fall if fall[word] > 0), key=lambda word: (-fall[word], word))
    return [
        DroppedWord(
            word=word,
            first=rate([word in first for first, *_ in again]),
            second=rate([word in second for _, second, *_ in again]),
            right_with=rate([right for right, prompts in drawn if word in prompts[0]]),
            right_without=rate([right for right, prompts in drawn if word not in prompts[0]]),
        )
        for word in fallen[:count]
    ]


def lost_word(before: Sequence[Outcome], after: Sequence[Outcome]) -> str | None:
    """The word whose share of first prompts falls most from one agent's answers to another's, of
    equal ones the first by alphabet; None where none falls."""
    shares = [
        {word: one / len(prompts) for word, one in Counter(w for p in prompts for w in p).items()}
        for prompts in (_first_prompts(before), _first_prompts(after))
    ]
    fall = {word: share - shares[1].get(word, 0.0) for word, share in shares[0].items()}
    word = min(fall, key=lambda word: (-fall[word], word), default=None)
    return word if word is not None and fall[word] > 0 else None


def share_with(word: str, outcomes: Sequence[Outcome]) -> Rate:
    """First prompts that have a word."""
    return rate([word in prompt for prompt in _first_prompts(outcomes)])


def _first_prompts(outcomes: Sequence[Outcome]) -> list[set[str]]:
    return [_words(one.trajectory.rounds[0].tool_prompt) for one in outcomes if one.passed]


def _words(prompt: str) -> set[str]:
    return set(_WORD.findall(prompt.lower()))
