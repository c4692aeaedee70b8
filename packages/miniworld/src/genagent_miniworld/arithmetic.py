"""Requests that want a small sum, of a kind that no training asks: what is learnt on riddles of one
step is held against two of them (the paper's section 4.5 has such of GSM8K's).

``--world.held-out genagent_miniworld.arithmetic:requests`` asks them.
"""

import random
from collections.abc import Iterator

from genagent_data import Request
from genagent_miniworld.conditions import Count, Kind, Spec
from genagent_miniworld.grammar import FRAMES, NUMBERS, QUANTITIES
from genagent_miniworld.scene import COLORS, SHAPES

NUMBER = 270
"""How many requests there are."""
FEWEST, MOST = 1, 5
"""Things in a picture: as many as training has."""


def requests() -> list[Request]:
    """``NUMBER`` different ones, always the same."""
    rng = random.Random("arithmetic")
    found: dict[str, Request] = {}
    while len(found) < NUMBER:
        words, number = rng.choice(list(_sums(rng)))
        kind = Kind(shape=rng.choice(SHAPES), color=rng.choice(tuple(COLORS)))
        if not FEWEST <= number <= MOST:
            continue
        prompt = rng.choice(FRAMES).format(words.format(things=kind.words(2)))
        id, hints = (
            f"arithmetic-{len(found)}",
            Spec(conditions=(Count(kind=kind, number=number),)).hints(),
        )
        found.setdefault(prompt, Request(id=id, prompt=prompt, task="arithmetic", hints=hints))
    return list(found.values())


def _sums(rng: random.Random) -> Iterator[tuple[str, int]]:
    """A sum of each form in words, and what it comes to."""
    one, other = rng.choice(tuple(QUANTITIES)), rng.choice(tuple(QUANTITIES))
    first, second = rng.choice(QUANTITIES[one]), rng.choice(QUANTITIES[other])
    step = rng.randint(1, 3)
    yield f"twice as many {{things}} as {first}, minus {NUMBERS[step]}", 2 * one - step
    yield f"as many {{things}} as {first}, plus {NUMBERS[step]}", one + step
    yield f"as many {{things}} as {first}, minus {NUMBERS[step]}", one - step
    yield f"as many {{things}} as {first} and {second} together", one + other
