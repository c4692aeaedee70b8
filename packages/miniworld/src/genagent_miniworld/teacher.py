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
from genagent_miniworld.scene import COLORS, SHAPES, SIZES, Item, Scene, caption

ANSWER = "done"
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
            prompt = caption(solve(spec, rng), sizes=spec.names_sizes)
        else:
            prompt = request.prompt if rng.random() < 0.5 else spec.words()
        return Turn(judgement=judgement, thinking=spec.words(), tool_prompt=prompt)


def judge_words(spec: Spec, reading: Reading) -> str:
    """What is seen, each condition, the verdict: ``"red circle top. 2 red circles no. … bad"``."""
    checks = [
        f"{condition.words()} {'no' if condition.error(reading.items) else 'yes'}"
        for condition in spec.conditions
    ]
    extras = "no" if spec.extras(reading) else "yes"
    verdict = "good" if spec.met(reading) else "bad"
    seen = reading.describe(sizes=spec.names_sizes)
    return ". ".join([seen, *checks, f"nothing else {extras}", verdict])


def judged_good(judgement: str) -> bool | None:
    """The verdict in a judgement's last word; None where there is none."""
    return {"good": True, "bad": False}.get(judgement.rsplit(" ", 1)[-1])
