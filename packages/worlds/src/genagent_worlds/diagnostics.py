"""How scored attempts came about: beside a benchmark's score, on the benchmark's own scale.

The same figures for every strategy, so that an agent that looks can be held against a rewrite that
does not: Table 5 of the paper (gain by reflection), Table 1 (words changed, broken turns), and what
it costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genagent_data import Trajectory
from genagent_worlds.benchmarks.benchmark import Result, Score
from genagent_worlds.conduct import word_distance
from genagent_worlds.estimates import Estimate, mean_estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredAttempt:
    """One attempt at a benchmark's request, and what its pictures are worth."""

    trajectory: Trajectory
    turns: tuple[str, ...]
    """What a model said; none where none speaks."""
    seconds: float
    """From its beginning to its end, beside all others that ran at the same time."""
    results: tuple[Result, ...]
    """Of each picture, in order."""
    chosen: int | None
    """Which picture counts; None where there is none."""
    fallbacks: int = 0
    """Rewrites in whose words no prompt could be read: the request's own was drawn."""

    @property
    def result(self) -> Result:
        """What the attempt is worth to the benchmark."""
        return "missing" if self.chosen is None else self.results[self.chosen]

    @property
    def values(self) -> list[float | None]:
        """Of each picture, on the benchmark's scale; None where it has no score."""
        return [one.value if isinstance(one, Score) else None for one in self.results]

    @property
    def passed(self) -> list[bool | None]:
        """Of each picture, where the benchmark says right or wrong."""
        return [one.passed if isinstance(one, Score) else None for one in self.results]


def diagnose(attempts: Sequence[ScoredAttempt], *, seed: int = 0) -> dict[str, Estimate]:
    """Means with 95 % bootstrap intervals, by name; what says nothing here is left out.

    - ``first``: the score of the first picture;
    - ``reflection_gain``: score of the picture that counts minus score of the first, of attempts
      that have both;
    - ``over_reflection``: share of attempts in which a later picture scores lower than an earlier
      one, of those with two scores or more;
    - ``broken_turns``: share of all turns said that break the protocol;
    - ``words_changed``: words to insert, delete or replace between the request and the last prompt;
    - ``agreement``: share of pictures on which the agent, by what it did next, agrees with the
      benchmark, where that says right or wrong;
    - ``fallbacks``: share of attempts with a rewrite that could not be read, where there is one;
    - ``pictures``, ``turns`` and ``seconds`` an attempt.

    Args:
        seed: of the bootstrap.
    """
    spoken = [attempt for attempt in attempts if attempt.turns]
    fallbacks = [float(attempt.fallbacks > 0) for attempt in attempts]
    values: dict[str, list[float]] = {
        "first": [known for one in attempts if (known := _first(one)) is not None],
        "reflection_gain": [gain for one in attempts if (gain := _gain(one)) is not None],
        "over_reflection": [
            float(any(later < earlier for earlier, later in _ordered_pairs(known)))
            for one in attempts
            if len(known := [value for value in one.values if value is not None]) > 1
        ],
        "broken_turns": [
            float(one.trajectory.ending == "format_error" and last)
            for one in spoken
            for last in _marks_last(one.turns)
        ],
        "words_changed": [
            float(word_distance(one.trajectory.request.prompt, rounds[-1].tool_prompt))
            for one in attempts
            if (rounds := one.trajectory.rounds)
        ],
        "agreement": [
            float(said == passed)
            for one in spoken
            for said, passed in zip(one.trajectory.taken_for_right, one.passed, strict=True)
            if said is not None and passed is not None
        ],
        "fallbacks": fallbacks if any(fallbacks) else [],
        "pictures": [float(len(one.trajectory.pictures)) for one in attempts],
        "turns": [float(len(one.turns)) for one in spoken],
        "seconds": [one.seconds for one in attempts],
    }
    estimates = {name: mean_estimate(known, seed=seed) for name, known in values.items()}
    return {name: one for name, one in estimates.items() if one is not None}


def _first(attempt: ScoredAttempt) -> float | None:
    return attempt.values[0] if attempt.values else None


def _gain(attempt: ScoredAttempt) -> float | None:
    first = _first(attempt)
    last = None if attempt.chosen is None else attempt.values[attempt.chosen]
    return None if first is None or last is None else last - first


def _ordered_pairs(values: Sequence[float]) -> Iterable[tuple[float, float]]:
    return ((one, other) for place, one in enumerate(values) for other in values[place + 1 :])


def _marks_last(turns: Sequence[str]) -> list[bool]:
    """A format error ends an attempt, so that only its last turn can be one."""
    return [False] * (len(turns) - 1) + [True]
