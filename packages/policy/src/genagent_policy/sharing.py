"""Which rank learns from what: as many tokens for each as can be, and as many passes."""

from collections.abc import Sequence
from typing import TypeVar

from genagent_policy.ranks import Ranks

Item = TypeVar("Item")


def deal(costs: Sequence[int], ranks: int) -> list[list[int]]:
    """Places dealt to so many ranks: the dearest first, each to whoever has least by then. No rank
    has more than the least one by more than one item's cost.

    Example: ``deal([5, 3, 3, 1], 2)`` is ``[[0, 3], [1, 2]]``
    """
    dealt: list[list[int]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for place in sorted(range(len(costs)), key=lambda place: -costs[place]):
        rank = loads.index(min(loads))
        dealt[rank].append(place)
        loads[rank] += costs[place]
    return [sorted(places) for places in dealt]


def share_out(ranks: Ranks, items: Sequence[Item], costs: Sequence[int]) -> list[Item]:
    """This rank's part of what all ranks hold together; items go to other ranks where they must.

    Args:
        items: what this rank holds.
        costs: of each of these.
    """
    if ranks.size == 1:
        return list(items)
    held = ranks.gather(list(costs))
    owners = [rank for rank, own in enumerate(held) for _ in own]
    before = owners.index(ranks.rank) if held[ranks.rank] else 0
    dealt = deal([cost for own in held for cost in own], ranks.size)
    parcels = [
        [items[place - before] for place in places if owners[place] == ranks.rank]
        for places in dealt
    ]
    return ranks.exchange(parcels)


def in_step(ranks: Ranks, parts: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """As many parts as the rank with most of them has; those that this one lacks are empty."""
    most = max(ranks.gather(len(parts)))
    return [*parts, *([[]] * (most - len(parts)))]
