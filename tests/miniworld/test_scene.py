"""Scenes as words, and back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_miniworld import SIZES, Item, caption, parse_caption, random_scene


@given(seed=st.integers(0, 10_000), count=st.integers(1, 9), sizes=st.booleans())
def test_a_caption_says_its_scene(seed, count, sizes):
    scene = random_scene(random.Random(seed), count)
    for size in SIZES:
        told = {item.place: item.size if sizes else size for item in scene}
        read = parse_caption(caption(scene, sizes=sizes), size=size)
        assert read == tuple(
            Item(place=item.place, color=item.color, shape=item.shape, size=told[item.place])
            for item in scene
        )


@pytest.mark.parametrize(
    "words",
    [
        "",
        "two red circles",
        "red circle",
        "red circle top, exactly the picture i want",
        "red circle top, blue square top",
        "red circle top-leftmost",
        "huge red circle top",
    ],
)
def test_other_words_say_no_scene(words):
    assert parse_caption(words, size="large") is None


def test_places_may_come_in_any_order():
    assert parse_caption("small red circle bottom, blue square top-left", size="large") == (
        Item(place=0, color="blue", shape="square", size="large"),
        Item(place=7, color="red", shape="circle", size="small"),
    )
