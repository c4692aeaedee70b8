"""The scripted teacher: it knows what a request means and reads pictures without error.

It plays the part of the teacher models in the paper's data synthesis, in the agent's own protocol:
a first prompt that is often no better than the request, a judgement condition by condition, a
reflection that spells the scene out.
"""

import random

from PIL import Image

from genagent_data import Request, Turn
from genagent_miniworld.conditions import REGIONS, Count, Spec, parse_hints
from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import COLORS, PLACES, SHAPES, SIZES, Item, Scene, caption

ANSWER = "done"
EXTRA = "extra"
OFF = "off"
"""Marks of what no condition asks for, and of what is in the wrong place."""
TRIES = 2000
"""Draws before a request counts as contradictory; the hardest one here needs about 30."""


def solve(spec: Spec, rng: random.Random) -> Scene:
    """A random scene that meets every condition. Raises ValueError where none was found."""
    for _ in range(TRIES):
        scene = _draw(spec, rng)
        if scene and spec.met(Reading(items=scene)):
            return scene
    raise ValueError(f"no scene meets {spec.hints()}")


def _draw(spec: Spec, rng: random.Random) -> Scene:
    free = set(range(9))
    items: list[Item] = []
    # Bound places first, so that a free item does not take the only cell of another.
    for count in sorted(spec.counts, key=lambda c: c.region is None):
        allowed = sorted(free & set(REGIONS[count.region])) if count.region else sorted(free)
        if len(allowed) < count.number:
            return ()
        for place in rng.sample(allowed, count.number):
            free.remove(place)
            items.append(_item(count, place, rng))
    return tuple(sorted(items))


def _item(count: Count, place: int, rng: random.Random) -> Item:
    kind = count.kind
    return Item(
        place=place,
        color=kind.color or rng.choice(tuple(COLORS)),
        shape=kind.shape or rng.choice(SHAPES),
        size=kind.size or rng.choice(tuple(SIZES)),
    )


class Teacher:
    """Writes turns for requests of the miniature."""

    def __init__(self, *, explicit_first: float = 0.3, explicit_later: float = 0.4) -> None:
        """Chances that a first and a later prompt spell the scene out instead of naming it."""
        self.explicit_first = explicit_first
        self.explicit_later = explicit_later

    def open(self, request: Request, rng: random.Random) -> Turn:
        """The first turn: what is wanted, and a prompt."""
        spec = parse_hints(request.hints)
        return self._call(spec, request, rng, explicit=rng.random() < self.explicit_first)

    def react(self, request: Request, picture: Image.Image, rng: random.Random) -> Turn:
        """A later turn: the judgement, then the answer or another try."""
        spec = parse_hints(request.hints)
        reading = read(picture)
        judgement = judge_words(spec, reading)
        if spec.met(reading):
            return Turn(judgement=judgement, answer=ANSWER)
        return self._call(
            spec,
            request,
            rng,
            explicit=rng.random() < self.explicit_later,
            judgement=judgement,
        )

    def _call(
        self,
        spec: Spec,
        request: Request,
        rng: random.Random,
        *,
        explicit: bool,
        judgement: str | None = None,
    ) -> Turn:
        if explicit:
            # Kind by kind, as in the thought: in reading order the agent has to interleave kinds
            # and swaps their traits (9 % of its prompts); flux-mini obeys both alike.
            prompt = caption(spec.in_order(solve(spec, rng)), sizes=spec.names_sizes)
        else:
            prompt = request.prompt if rng.random() < 0.5 else spec.words()
        return Turn(judgement=judgement, thinking=spec.words(), tool_prompt=prompt)


def judge_words(spec: Spec, reading: Reading) -> str:
    """What is seen, item by item with the condition it counts for; how many each condition has
    found and whether it is met; the verdict.

    ``"top red circle 1, left blue square extra. 2 red circles 1 no. nothing else 1 no. bad"``
    """
    return "".join(text for text, _ in judgement_pieces(spec, reading))


def judgement_pieces(spec: Spec, reading: Reading) -> list[tuple[str, bool]]:
    """A judgement in pieces; those marked True are conclusions from the words before them.

    A conclusion needs no search: an item is held against the request as soon as it is named. An
    agent of this size learns that in minutes; to find *the red circle* again among what it has
    read out, or to judge a condition with no such marks, it did not learn in an hour.
    """
    seen: list[tuple[int, str, str]] = [(place, "blob", EXTRA) for place in reading.unclear]
    for item in reading.items:
        size = f"{item.size} " if spec.names_sizes else ""
        seen.append((item.place, f"{size}{item.color} {item.shape}", _mark(spec, item)))
    pieces: list[tuple[str, bool]] = []
    for place, words, mark in sorted(seen):
        pieces += [(f"{', ' if pieces else ''}{PLACES[place]} {words}", False), (f" {mark}", True)]
    pieces = pieces or [("nothing", False)]
    marks = [mark for _, _, mark in seen]
    for condition in spec.conditions:
        pieces.append((f". {condition.words()}", False))
        if isinstance(condition, Count):
            found = marks.count(str(spec.counts.index(condition) + 1))
            pieces.append((f" {found}", True))
        pieces.append((" no" if condition.error(reading.items) else " yes", True))
    extras = marks.count(EXTRA)
    pieces += [(". nothing else", False), (f" {extras}", True), (" no" if extras else " yes", True)]
    return [*pieces, (".", False), (" good" if spec.met(reading) else " bad", True)]


def _mark(spec: Spec, item: Item) -> str:
    """Number of the count an item belongs to, from 1; OFF outside its region; EXTRA for none."""
    for number, count in enumerate(spec.counts, start=1):
        if count.kind.fits(item):
            there = count.region is None or item.place in REGIONS[count.region]
            return str(number) if there else OFF
    return EXTRA
