"""Prompts as words, and how alike two of them are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_data.prompt_words import jaccard, shingles, words_of


def similarity(first: str, second: str) -> float:
    return jaccard(shingles(words_of(first)), shingles(words_of(second)))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("A red,  RED circle!", ("a", "red", "red", "circle")),
        ("wine-glass_stem", ("wine", "glass", "stem")),
        ("ice at -10 °C", ("ice", "at", "-10", "°", "c")),
        ("5-10 dogs", ("5", "10", "dogs")),
        ("\ufb01ve \uff23ats", ("five", "cats")),
        ("Straße", ("strasse",)),
        ("a 🐱\u200b", ("a", "🐱")),
        ("红色 circle", ("红", "色", "circle")),
        ("?! …", ("?!", "...")),
    ],
)
def test_words_leave_out_how_a_prompt_is_written(prompt, words):
    assert words_of(prompt) == words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a red circle", "a blue circle"),
        ("two small red circles on the left", "two small red circles on the right"),
        ("a photo of six clocks", "a photo of five clocks"),
        ("a cat and a cat", "a cat and a cat and a cat"),
        ("a red cat left of a blue dog", "a blue cat left of a red dog"),
        (" ".join(map(str, range(24))), " ".join(map(str, [*range(23), "x"]))),
        (" ".join(map(str, range(24))), " ".join(map(str, ["x", *range(1, 24)]))),
    ],
)
def test_one_other_word_makes_another_short_prompt(first, second):
    assert similarity(first, second) < 0.8


def test_one_other_word_of_many_does_not():
    words = [str(number) for number in range(40)]
    assert similarity(" ".join(words), " ".join([*words[:20], "x", *words[21:]])) == 39 / 45


@given(st.text().filter(str.strip), st.text().filter(str.strip))
def test_similarity_is_a_symmetric_share_and_1_for_the_same(first, second):
    assert 0 <= similarity(first, second) <= 1
    assert similarity(first, second) == similarity(second, first)
    assert similarity(first, first) == 1


@given(st.text("abc XYZ", min_size=1).filter(str.strip))
def test_similarity_is_blind_to_case(text):
    assert similarity(text, text.swapcase()) == 1
