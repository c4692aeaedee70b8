"""What shows that an agent keeps a better picture back."""

from dataclasses import replace

from tests.study.finished import MENDED, RIGHT, SPOILT, WRONG, outcomes

from genagent_data import PictureStore
from genagent_study.dropped_words import dropped_words, lost_word, share_with
from genagent_study.result import Answers
from genagent_study.sections.withholding import second_try
from genagent_worlds import Outcome


def test_second_tries_are_those_that_follow_a_failure(tmp_path):
    # Stopping after a failure is no try, and what follows a right picture is none at a failure.
    passed = [RIGHT, SPOILT, MENDED, WRONG, WRONG, (False,), (), (False, False, True)]
    found = Answers.of(outcomes(PictureStore(tmp_path), passed, seed=0))
    assert second_try(found) == 1 / 4


def prompted(tmp_path, *prompts: tuple[str, ...], passed: list[tuple[bool, ...]]) -> list[Outcome]:
    """A prompt more than pictures is one that the tool has failed to draw."""
    found = outcomes(PictureStore(tmp_path), passed, seed=0)
    return [
        replace(
            one,
            trajectory=replace(
                one.trajectory,
                rounds=tuple(
                    replace(round, tool_prompt=words)
                    for round, words in zip(
                        [*one.trajectory.rounds, *one.trajectory.rounds], asked, strict=False
                    )
                ),
            ),
        )
        for one, asked in zip(found, prompts, strict=True)
    ]


def test_a_word_that_is_not_tried_again_is_found_with_what_it_is_worth(tmp_path):
    found = prompted(
        tmp_path,
        ("Nice, nice circle", "circle"),
        ("a nice circle", "a red circle"),
        ("circle", "circle top"),
        ("nice square",),
        ("square",),
        (),
        ("red circle", "whose picture was never drawn"),
        passed=[MENDED, WRONG, SPOILT, (True,), (True,), (), (False,)],
    )
    [nice] = dropped_words(found, count=5)
    assert nice.word == "nice"
    assert (nice.first.hits, nice.first.trials) == (2, 3)
    assert (nice.second.hits, nice.second.trials) == (0, 3)
    assert (nice.right_with.hits, nice.right_with.trials) == (1, 3)
    assert (nice.right_without.hits, nice.right_without.trials) == (2, 3)


def test_words_that_fall_most_come_first_and_of_equal_ones_by_alphabet(tmp_path):
    found = prompted(
        tmp_path,
        ("b c a", "x"),
        ("c top-left", "x"),
        passed=[WRONG, WRONG],
    )
    assert [one.word for one in dropped_words(found, count=3)] == ["c", "a", "b"]
    assert [one.word for one in dropped_words(found, count=9)] == ["c", "a", "b", "top-left"]


def test_nobody_who_drew_once_has_dropped_a_word(tmp_path):
    found = prompted(tmp_path, ("nice circle",), passed=[RIGHT])
    assert dropped_words(found, count=3) == []


def test_the_word_that_learning_makes_rarest_is_found_in_first_prompts(tmp_path):
    words = (("nice circle", "x"), ("nice b", "x"), ("a b",), ())
    before = prompted(tmp_path, *words, passed=[WRONG, WRONG, RIGHT, ()])
    after = prompted(tmp_path, ("nice circle a",), ("circle",), ("b a",), passed=[RIGHT] * 3)
    # nice falls from two of three to one, as b does, and a rises; who drew nothing has no prompt.
    assert lost_word(before, after) == "b"
    assert lost_word(before, before) is None
    assert lost_word([], after) is None
    shared = share_with("nice", before)
    assert (shared.hits, shared.trials) == (2, 3)
