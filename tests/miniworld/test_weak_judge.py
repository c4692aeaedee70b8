"""Weak judges are wrong about the same pictures each time, by noise or by what they do not see."""

import random

import pytest

from genagent_data import Picture
from genagent_miniworld import Item, Verifier, render
from genagent_miniworld.load import load_judge
from genagent_miniworld.scene import COLORS, SHAPES
from genagent_miniworld.weak_judge import noisy, placeless
from genagent_rewards import PairQuestion, PointQuestion, PointwiseJudge


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


@pytest.mark.slow
def test_the_placeless_one_does_not_look_where_things_are():
    red, blue = (
        Item(place=place, color=color, shape=shape, size="large")
        for place, color, shape in ((0, "red", "circle"), (5, "blue", "square"))
    )
    both, one = (Picture.of(render(scene)) for scene in ((red, blue), (red,)))

    def asked(*hints: str, shown: Picture = both) -> PointQuestion:
        words = ", ".join(hint.removeprefix("exactly ") for hint in hints)
        return PointQuestion(request=words, hints=(*hints, "nothing else"), picture=shown)

    reds, blues = "exactly 1 red circle", "exactly 1 blue square"
    questions = [
        asked(reds, blues, "red circle left of blue square"),
        asked(reds, blues, "red circle right of blue square"),
        asked("exactly 1 red circle in the bottom row", blues),
        asked(reds, blues, "red circle right of blue square", shown=one),
    ]
    passed = [
        [verdict is not None and verdict.choice == "yes" for verdict in judge.judge(questions)]
        for judge in (Verifier(), placeless())
    ]
    assert passed == [[True, False, False, False], [True, True, True, False]]
    hints = (reds, blues, "red circle right of blue square", "nothing else")
    pairs = [
        PairQuestion(request="red right of blue", hints=hints, first=first, second=second)
        for first, second in ((both, one), (one, both))
    ]
    assert [verdict and verdict.choice for verdict in placeless().compare(pairs)] == [
        "first",
        "second",
    ]
