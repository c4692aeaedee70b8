"""Requests of the miniature: GenEval++'s seven task types, riddles after WISE, counterfactuals
after Imagine.

Every request is words for the agent and hints for the judge. Train and held-out requests never
share a prompt: the split is decided by a hash of the prompt's words.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Literal

from genagent_data import Request
from genagent_miniworld.conditions import (
    REGIONS,
    RELATIONS,
    Condition,
    Count,
    Kind,
    Relation,
    Spec,
)
from genagent_miniworld.scene import COLORS, PLACES, SHAPES

Split = Literal["train", "held-out"]
Draft = tuple[str, Spec]

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
FRAMES = ("{}", "{}", "a picture of {}", "please draw {}", "draw {}", "show {}", "i want {}")
QUANTITIES = {
    2: ("a bicycle has wheels", "a person has eyes"),
    3: ("a triangle has sides", "a tricycle has wheels"),
    4: ("a square has corners", "a dog has legs"),
    5: ("a hand has fingers", "a starfish has arms"),
}
HUES = {
    "red": ("a ripe tomato", "a fire truck"),
    "green": ("fresh grass", "a frog"),
    "blue": ("a clear sky", "a blueberry"),
    "yellow": ("a ripe lemon", "a sunflower"),
}
THINGS = {
    "lemon": Kind(color="yellow", shape="circle"),
    "tomato": Kind(color="red", shape="circle"),
    "pea": Kind(color="green", shape="circle"),
    "brick": Kind(color="red", shape="square"),
    "fir": Kind(color="green", shape="triangle"),
    "sapphire": Kind(color="blue", shape="triangle"),
}


_MISSES = 20_000
"""Drafts in a row that are of the other split or known, after which there is nothing new: where one
of 1,000 prompts is left, it is missed so often once in e^20 times."""


def sample_requests(
    n: int, *, seed: int, split: Split, tasks: tuple[str, ...] = ()
) -> list[Request]:
    """Requests of equal parts by task, the same for the same seed.

    Args:
        n: how many; held-out samples hold no prompt twice, train samples may.
        tasks: task types to draw from; all of ``TASKS`` if empty.

    Raises:
        ValueError: unknown split or task, or more held-out requests than there are.
    """
    if split not in ("train", "held-out"):
        raise ValueError(f"unknown split {split!r}; known: train, held-out")
    names = tasks or tuple(TASKS)
    for name in names:
        if name not in TASKS:
            raise ValueError(f"unknown task {name!r}; known: {', '.join(TASKS)}")
    rng = random.Random(f"requests-{split}-{seed}")
    requests: list[Request] = []
    seen: set[str] = set()
    misses = 0
    while len(requests) < n:
        task = names[len(requests) % len(names)]
        prompt, spec = TASKS[task](rng)
        if split_of(prompt) != split or (split == "held-out" and prompt in seen):
            misses += 1
            if misses > _MISSES:
                raise ValueError(f"there are no {n} different {split} requests of {names}")
            continue
        seen.add(prompt)
        misses = 0
        number = len(requests)
        requests.append(
            Request(id=f"{split}-{seed}-{number}", prompt=prompt, task=task, hints=spec.hints())
        )
    return requests


def split_of(prompt: str) -> Split:
    """One prompt in three is held out."""
    return "held-out" if hashlib.sha256(prompt.encode()).digest()[0] % 3 == 0 else "train"


def _draft(prompt: str, *conditions: Condition) -> Draft:
    return prompt, Spec(conditions=conditions)


def _kind(rng: random.Random, *, size: str | None = None) -> Kind:
    return Kind(shape=rng.choice(SHAPES), color=rng.choice(tuple(COLORS)), size=size)


def _two_kinds(rng: random.Random) -> tuple[Kind, Kind]:
    first = second = _kind(rng)
    while second == first:
        second = _kind(rng)
    return first, second


def _photo(rng: random.Random, text: str) -> str:
    return rng.choice(FRAMES).format(text)


def _number(rng: random.Random, number: int) -> str:
    return rng.choice((NUMBERS[number], str(number)))


def _color(rng: random.Random) -> Draft:
    kinds = [*_two_kinds(rng)]
    third = _kind(rng)
    if third not in kinds and rng.random() < 0.5:
        kinds.append(third)
    words = [f"a {kind.words()}" for kind in kinds]
    text = f"{', '.join(words[:-1])} and {words[-1]}"
    return _draft(_photo(rng, text), *(Count(kind=kind, number=1) for kind in kinds))


def _count(rng: random.Random) -> Draft:
    kind, number = Kind(shape=rng.choice(SHAPES)), rng.randint(2, 5)
    exactly = rng.choice(("", "", "exactly "))
    text = f"{exactly}{_number(rng, number)} {kind.words(number)}"
    return _draft(_photo(rng, text), Count(kind=kind, number=number))


def _color_count(rng: random.Random) -> Draft:
    kind, number = _kind(rng), rng.randint(2, 5)
    text = _photo(rng, f"{_number(rng, number)} {kind.words(number)}")
    return _draft(text, Count(kind=kind, number=number))


def _color_position(rng: random.Random) -> Draft:
    if rng.random() < 0.4:
        kind, place = _kind(rng), rng.choice(PLACES)
        text = _photo(rng, f"a {kind.words()} at {place}")
        return _draft(text, Count(kind=kind, number=1, region=f"at {place}"))
    (first, second), relation = _two_kinds(rng), rng.choice(RELATIONS)
    text = _photo(rng, f"a {first.words()} {relation} a {second.words()}")
    return _related(text, first, relation, second)


def _related(text: str, first: Kind, relation: str, second: Kind) -> Draft:
    return _draft(
        text,
        Count(kind=first, number=1),
        Count(kind=second, number=1),
        Relation(first=first, relation=relation, second=second),
    )


def _position_count(rng: random.Random) -> Draft:
    regions = [region for region, places in REGIONS.items() if len(places) == 3]
    kind = _kind(rng) if rng.random() < 0.5 else Kind(shape=rng.choice(SHAPES))
    number, region = rng.randint(2, 3), rng.choice(regions)
    text = _photo(rng, f"{_number(rng, number)} {kind.words(number)} {region}")
    return _draft(text, Count(kind=kind, number=number, region=region))


def _position_size(rng: random.Random) -> Draft:
    sizes = rng.sample(("small", "large"), 2)
    first, second = (
        Kind(shape=kind.shape, color=kind.color, size=size)
        for kind, size in zip(_two_kinds(rng), sizes, strict=True)
    )
    relation = rng.choice(RELATIONS)
    text = _photo(rng, f"a {first.words()} {relation} a {second.words()}")
    return _related(text, first, relation, second)


def _multi_count(rng: random.Random) -> Draft:
    colored = rng.random() < 0.5
    shapes = rng.sample(SHAPES, 2)
    kinds = [Kind(shape=s, color=rng.choice(tuple(COLORS)) if colored else None) for s in shapes]
    numbers = rng.choice(((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2)))
    words = [f"{_number(rng, n)} {k.words(n)}" for n, k in zip(numbers, kinds, strict=True)]
    counts = (Count(kind=k, number=n) for n, k in zip(numbers, kinds, strict=True))
    return _draft(_photo(rng, " and ".join(words)), *counts)


def _riddle(rng: random.Random) -> Draft:
    shape, color = rng.choice(SHAPES), rng.choice(tuple(COLORS))
    hue = rng.choice(HUES[color])
    if rng.random() < 0.3:
        text = f"a {shape} in the color of {hue}"
        return _draft(_photo(rng, text), Count(kind=Kind(shape=shape, color=color), number=1))
    number = rng.choice(tuple(QUANTITIES))
    quantity = rng.choice(QUANTITIES[number])
    if rng.random() < 0.4:
        text = f"as many {color} {shape}s as {quantity}"
    else:
        text = f"as many {shape}s as {quantity}, in the color of {hue}"
    return _draft(_photo(rng, text), Count(kind=Kind(shape=shape, color=color), number=number))


def _counterfactual(rng: random.Random) -> Draft:
    name = rng.choice(tuple(THINGS))
    kind = THINGS[name]
    number = rng.randint(1, 3)
    plural = name + ("s" if number > 1 else "")
    count = "a" if number == 1 else NUMBERS[number]
    if rng.random() < 0.5:
        color = rng.choice([c for c in COLORS if c != kind.color])
        changed = Kind(shape=kind.shape, color=color)
        hue = rng.choice(HUES[color])
        text = rng.choice((f"{count} {color} {plural}", f"{count} {plural} the color of {hue}"))
    else:
        shape = rng.choice([s for s in SHAPES if s != kind.shape])
        changed = Kind(shape=shape, color=kind.color)
        text = f"{count} {plural} in the shape of a {shape}"
    return _draft(_photo(rng, text), Count(kind=changed, number=number))


TASKS: dict[str, Callable[[random.Random], Draft]] = {
    "color": _color,
    "count": _count,
    "color/count": _color_count,
    "color/position": _color_position,
    "position/count": _position_count,
    "position/size": _position_size,
    "multi-count": _multi_count,
    "riddle": _riddle,
    "counterfactual": _counterfactual,
}
"""Task types, each with what drafts a prompt of it and the conditions that it means."""
