"""The scripted teacher as the synthesis of trajectories asks it.

Its prompts are never the request again: a third of the first ones spell the scene out, which
flux-mini obeys (98 % of held-out requests); the others say what is wanted in more and other words,
which it obeys no better than the request (27 %). The words are those that flux-mini knows, within
the ``WORDS`` that it reads, and each is one token to the miniature's policies.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genagent_data import Request, derive_seed
from genagent_data.synthesis import Call, Failure, Judgement, PartialTrajectory
from genagent_miniworld.conditions import Spec, parse_hints
from genagent_miniworld.reading import read
from genagent_miniworld.scene import caption
from genagent_miniworld.teacher import judge_words, solve

WORDS = 23
"""That flux-mini reads."""
SHORT = 2
"""Items up to which an explicit prompt is no longer than a request, and is given an ending."""
ENDING = ", exactly the picture i want"

WORDINGS: tuple[Callable[[Spec], str], ...] = (
    lambda spec: f"{spec.words()}{ENDING}",
    lambda spec: f"{_counts(spec)}{_relations(spec)}{ENDING}",
    lambda spec: f"{spec.words()}, and exactly the one picture i want",
    lambda spec: f"exactly {_counts(spec)} in the one picture i want{_relations(spec)}",
)
"""Ways to say what is wanted and not where; 24 to 30 % of such prompts are obeyed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptedTeacher:
    """Knows what a request means and reads pictures without error; a teacher that costs
    nothing."""

    kind: Annotated[Literal["scripted"], tyro.conf.Suppress] = "scripted"
    explicit_first: float = 0.3
    """Chance that a first prompt spells the scene out."""
    explicit_later: float = 0.6
    """Chance that a later one does."""
    seed: int = 0
    """Of its choice of words."""

    def __post_init__(self) -> None:
        for name in ("explicit_first", "explicit_later"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 0 to 1")

    def problems(self) -> list[str]:
        """See ``TeacherConfig``."""
        return []

    def load(self, work: Path, *, words: int | None) -> "ScriptedTeacher":
        """See ``TeacherConfig``; there is nothing to load."""
        return self

    @property
    def name(self) -> str:
        """See ``Teacher``."""
        options = [f"{key} {value}" for key, value in asdict(self).items() if key != "kind"]
        return f"scripted ({', '.join(options)})"

    def open(self, requests: Sequence[Request]) -> list[Call | Failure]:
        """See ``Teacher``. Raises ValueError for hints that are none of the miniature's."""
        return [self._call(request, (), self.explicit_first) for request in requests]

    def judge(self, attempts: Sequence[PartialTrajectory]) -> list[Judgement | Failure]:
        """See ``Teacher``."""
        return [_judgement(attempt) for attempt in attempts]

    def reflect(self, attempts: Sequence[PartialTrajectory]) -> list[Call | Failure]:
        """See ``Teacher``; the checklist is all the hint it needs."""
        return [
            self._call(attempt.request, attempt.calls, self.explicit_later) for attempt in attempts
        ]

    def _call(self, request: Request, before: Sequence[Call], explicit: float) -> Call:
        spec = parse_hints(request.hints)
        rng = random.Random(derive_seed(self.seed, "scripted", request.id, len(before)))
        tried = {call.prompt for call in before}
        vague = [
            words
            for words in (wording(spec) for wording in WORDINGS)
            if words not in tried and len(words.split()) <= WORDS
        ]
        # Two wordings always fit; where both were tried, the scene has to be spelt out.
        is_explicit = rng.random() < explicit or not vague
        prompt = _explicit(spec, rng) if is_explicit else rng.choice(vague)
        return Call(thinking=spec.words(), prompt=prompt)


def _judgement(attempt: PartialTrajectory) -> Judgement:
    spec, reading = parse_hints(attempt.request.hints), read(attempt.pictures[-1].image)
    return Judgement(words=judge_words(spec, reading), right=spec.met(reading))


def _explicit(spec: Spec, rng: random.Random) -> str:
    scene = solve(spec, rng)
    # In the order of the request; in reading order an agent of this size swaps traits.
    words = caption(spec.in_order(scene), sizes=spec.names_sizes)
    return words + ENDING if len(scene) <= SHORT else words


def _counts(spec: Spec) -> str:
    return " and ".join(count.words() for count in spec.counts)


def _relations(spec: Spec) -> str:
    return "".join(f", the {relation.words()}" for relation in spec.relations)
