"""Keeping part of a group so that round counts stay as even as the sample allows."""

import random
from collections import Counter
from collections.abc import Sequence


def resample_by_rounds(rounds: Sequence[int], keep: int, rng: random.Random) -> list[int]:
    """Choose ``keep`` of the trajectories, round-robin over those of equal round count.

    Each turn of the round-robin takes one trajectory, at random, from every count that has any
    left; the order in which the counts are visited is random too, so that no count is favoured
    where ``keep`` does not divide evenly.

    Args:
        rounds: how many rounds each trajectory took.
        keep: how many to keep.

    Returns:
        Indices kept, ascending.

    Raises:
        ValueError: ``keep`` is negative or more than there are.
    """
    if not 0 <= keep <= len(rounds):
        raise ValueError(f"cannot keep {keep} of {len(rounds)} trajectories")
    by_count: dict[int, list[int]] = {}
    for index, count in enumerate(rounds):
        by_count.setdefault(count, []).append(index)
    groups = [by_count[count] for count in sorted(by_count)]
    rng.shuffle(groups)
    for members in groups:
        rng.shuffle(members)
    kept: list[int] = []
    while len(kept) < keep:
        for members in groups:
            if members and len(kept) < keep:
                kept.append(members.pop())
    return sorted(kept)


def fill_by_rounds(
    kept: Sequence[int], others: Sequence[int], wanted: int, rng: random.Random
) -> list[int]:
    """Choose more trajectories beside some that are kept, so that round counts become as even as
    the others allow.

    Args:
        kept: how many rounds the kept ones took.
        others: how many each of the others took.
        wanted: how many more; fewer where there are not so many.

    Returns:
        Indices into ``others``, ascending.
    """
    counts = Counter(kept)
    left = list(range(len(others)))
    rng.shuffle(left)
    chosen: list[int] = []
    while left and len(chosen) < wanted:
        index = min(left, key=lambda index: counts[others[index]])
        left.remove(index)
        counts[others[index]] += 1
        chosen.append(index)
    return sorted(chosen)
