"""A judge with noise in its weights is wrong more often, and about the same pictures each time."""

import random

import pytest

from genagent_data import Picture
from genagent_miniworld import Item, Verifier, render
from genagent_miniworld.load import load_judge
from genagent_miniworld.scene import COLORS, SHAPES
from genagent_miniworld.weak_judge import noisy
from genagent_rewards import PointQuestion, PointwiseJudge


def questions(number: int) -> list[PointQuestion]:
    """Two things of a color asked for; every other picture has one in another color."""
    rng = random.Random(0)
    asked = []
    for index in range(number):
        shape, (color, other) = rng.choice(SHAPES), rng.sample(sorted(COLORS), 2)
        places = rng.sample(range(9), 2)
        colors = (color, other if index % 2 else color)
        scene = tuple(
            Item(place=place, color=seen, shape=shape, size="large")
            for place, seen in zip(places, colors, strict=True)
        )
        hints = (f"exactly 2 {color} {shape}s", "nothing else")
        picture = Picture.of(render(scene, seed=index))
        asked.append(PointQuestion(request=f"2 {color} {shape}s", hints=hints, picture=picture))
    return asked


@pytest.mark.slow
def test_it_is_wrong_more_often_and_about_the_same_pictures():
    asked = questions(28)[12::2]
    assert [verdict and verdict.choice for verdict in Verifier().judge(asked)] == ["yes"] * 8

    def rejected(judge) -> list[int]:
        said = judge.judge(asked)
        return [n for n, verdict in enumerate(said) if not verdict or verdict.choice == "no"]

    assert rejected(PointwiseJudge(load_judge())) == []
    weak = rejected(noisy())
    assert 1 <= len(weak) <= 6
    assert rejected(noisy()) == weak
