"""Keeping part of a group so that round counts stay as even as the sample allows."""

import random
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
