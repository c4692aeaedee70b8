"""A world of your own: what is asked, what draws, who judges.

This painter cannot count: it draws a dot for each color that it reads, so "3 red circles" gives it
one. With one picture a try (--max-rounds 1) an agent learns to say "red circle, red circle, red
circle" at once, in two to three minutes of one core:

    uv run experiments/rl_flux.py flux-7b --device cpu --threads 1 \
        --policy packages/miniworld/src/genagent_miniworld/weights/sft \
        --world.train examples.your_world:train --world.held-out examples.your_world:held_out \
        --world.tool examples.your_world:Painter --world.judge examples.your_world:Eye \
        --max-rounds 1 --steps 8 --requests-per-step 12 \
        --grpo.learning-rate 2e-4 --grpo.warmup-batches 1
"""

import re
from collections.abc import Sequence
from random import Random
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from genagent_rewards import PairQuestion, Picture, PointQuestion, Verdict

COLORS = {
    "red": (214, 40, 48),
    "green": (36, 160, 72),
    "blue": (44, 84, 216),
    "yellow": (240, 188, 16),
}
NUMBERS = {"a": 1, "two": 2, "three": 3}
CELL = 16
Choice = Literal["yes", "no", "first", "second", "tie"]


def train() -> list[str]:
    """What is learnt from; a ``genagent_data.Request`` instead of a text may have hints."""
    return [prompt for place, prompt in enumerate(everything()) if place % 3]


def held_out() -> list[str]:
    """What is measured by, and never learnt from."""
    return everything()[::3]


def everything() -> list[str]:
    one = [f"{n} {color} circle{'s' * (n != 'a')}" for color in COLORS for n in NUMBERS]
    return one + [f"{a} and {b}" for a in one for b in one if a.split()[1] < b.split()[1]]


class Painter:
    """An ``ImageTool``: the same prompt and seed give the same picture."""

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """A picture for each prompt."""
        return [paint(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]


def paint(prompt: str, seed: int) -> Image.Image:
    """A dot for each of the first nine colors, wherever the seed puts it."""
    picture = Image.new("RGB", (3 * CELL, 3 * CELL), (242, 240, 234))
    colors = re.findall("|".join(COLORS), prompt)[:9]
    places = Random(seed).sample(range(9), len(colors))
    for color, place in zip(colors, places, strict=True):
        x, y = place % 3 * CELL, place // 3 * CELL
        ImageDraw.Draw(picture).ellipse((x + 2, y + 2, x + 13, y + 13), fill=COLORS[color])
    return picture


class Eye:
    """Both judges, by measuring. It is told a request, its hints and pictures, never the agent's
    words; None instead of a verdict would say that there is none."""

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        """Whether each picture is right."""
        return [_verdict(faults(q.request, q.picture), 0, "yes", "no") for q in questions]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        """Which of two pictures is nearer to its request."""
        pairs = [(faults(q.request, q.first), faults(q.request, q.second)) for q in questions]
        return [
            _verdict(first, second, "tie", "first" if first < second else "second")
            for first, second in pairs
        ]


def faults(request: str, picture: Picture) -> int:
    """How many dots are missing or too many: a dot is so many pixels."""
    asked = {color: NUMBERS[n] for n, color in re.findall(r"(\w+) (\w+) circle", request)}
    there = {color: round(pixels(picture.image, color) / DOT) for color in COLORS}
    return sum(abs(asked.get(color, 0) - there[color]) for color in COLORS)


def pixels(image: Image.Image, color: str) -> int:
    return int((np.asarray(image) == COLORS[color]).all(-1).sum())


def _verdict(one: int, other: int, same: Choice, differs: Choice) -> Verdict:
    choice = same if one == other else differs
    return Verdict(choice=choice, reason=f"dots wrong: {one}", judge="eye")


DOT = pixels(paint("red", 0), "red")
