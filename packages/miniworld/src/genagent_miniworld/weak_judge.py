"""Judges that can be deceived, for studying what becomes of an agent that is paid by one.

- ``--world.judge genagent_miniworld.weak_judge:noisy`` is judge-mini with noise in its weights: of
  first pictures by all tools and by two policies it takes about one wrong one in eight for right,
  and three right ones in ten for wrong, always the same ones, so that there is something to find
  out about it. Blurred pictures would not do: at a third of their resolution judge-mini rejects
  more, and accepts no more.
- ``…:placeless`` is judge-mini that hears of no place: whatever it passes has all that was asked
  for, somewhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from genagent_miniworld.conditions import Spec, parse_hints
from genagent_miniworld.load import load_judge
from genagent_rewards import PairQuestion, PairwiseJudge, PointQuestion, PointwiseJudge, Verdict

NOISE = 0.45
"""In parts of each matrix's own spread. At 0.3 it agrees with the truth on 96 % of 316 pictures, at
0.45 on 72 %, at 0.6 on 44 %."""


class NoisyJudge:
    """A judge of both kinds by one model."""

    def __init__(self, *, noise: float, seed: int = 0) -> None:
        """
        Args:
            noise: standard deviation of what is added to each matrix, in parts of its own.
        """
        chat = load_judge()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in chat.model.parameters():
                if weight.ndim > 1:
                    spread = torch.randn(weight.shape, generator=generator) * weight.std()
                    weight.add_(noise * spread)
        self._point, self._pair = PointwiseJudge(chat), PairwiseJudge(chat)

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        """See ``JudgesPictures``."""
        return self._point.judge(questions)

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        """See ``ComparesPictures``."""
        return self._pair.compare(questions)


def noisy() -> NoisyJudge:
    """One of ``NOISE``."""
    return NoisyJudge(noise=NOISE)


class PlacelessJudge:
    """A judge of both kinds that does not look where things are."""

    def __init__(self) -> None:
        chat = load_judge()
        self._point, self._pair = PointwiseJudge(chat), PairwiseJudge(chat)

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        """See ``JudgesPictures``."""
        return self._point.judge([replace(one, **_placeless(one.hints)) for one in questions])

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        """See ``ComparesPictures``."""
        return self._pair.compare([replace(one, **_placeless(one.hints)) for one in questions])


def placeless() -> PlacelessJudge:
    """One of them."""
    return PlacelessJudge()


def _placeless(hints: Sequence[str]) -> dict[str, Any]:
    """What is asked without any place, request and hints."""
    counts = [replace(count, region=None) for count in parse_hints(hints).counts]
    spec = Spec(conditions=tuple(counts))
    return {"request": spec.words(), "hints": spec.hints()}
