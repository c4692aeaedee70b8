"""Which picture of a trajectory counts."""

from collections.abc import Sequence
from typing import Literal

Selection = Literal["last", "best"]


def select(scores: Sequence[float | None], how: Selection = "last") -> int:
    """The place of the picture that counts.

    ``"last"`` is what an agent gives out. ``"best"`` is the picture of the highest score, the first
    of several, and the last picture where none has a score above 0: with verdicts (1 passed, 0
    failed) the first that passed. Where the scores are those that are reported, ``"best"`` is an
    upper bound and has to be called one: no agent knows which of its pictures the judge will like.

    Args:
        scores: of each picture, in order; None where there is none to be had.

    Raises:
        ValueError: there are no pictures.

    Example: ``select([0.0, 1.0, 0.0], "best") == 1``
    """
    if not scores:
        raise ValueError("no picture to select from; a trajectory without one has no success")
    known = [score for score in scores if score is not None]
    if how == "last" or max(known, default=0.0) <= 0:
        return len(scores) - 1
    return scores.index(max(known))
