"""What scored attempts say of how they came about."""

from dataclasses import replace

import pytest
from tests.worlds.builders import BLUE, RED, RED_TOO, trajectory

from genagent_worlds import Score, ScoredAttempt, diagnose


def scored(number: int, *values: float | None, chosen: int | None = -1, **about) -> ScoredAttempt:
    """An attempt whose pictures have these scores; 1 passed, 0 failed, None has none."""
    pictures = [(RED, BLUE, RED_TOO)[place] for place in range(len(values))]
    turns = ("words",) * (len(values) + 1)
    if chosen == -1:
        chosen = len(values) - 1 if values else None
    return ScoredAttempt(
        trajectory=trajectory(number, *pictures, **about),
        turns=turns,
        seconds=2.0 * number,
        results=tuple(
            "failed" if value is None else Score(value=value, passed=value > 0.5, reason="")
            for value in values
        ),
        chosen=chosen,
    )


def test_gain_and_over_reflection_are_of_attempts_that_know_both():
    found = diagnose([scored(1, 0.0, 1.0), scored(2, 1.0, 0.0), scored(3, 1.0), scored(4, None)])
    assert found["first"].value == pytest.approx(2 / 3)
    assert (found["reflection_gain"].value, found["reflection_gain"].n) == (0.0, 3)
    assert (found["over_reflection"].value, found["over_reflection"].n) == (0.5, 2)
    assert (found["pictures"].value, found["seconds"].value) == (1.5, 5.0)


def test_a_graded_score_may_fall_without_failing():
    low = scored(1, 6.4, 6.1, 7.0)
    assert diagnose([low])["over_reflection"].value == 1.0
    assert diagnose([low])["reflection_gain"].value == pytest.approx(0.6)
    assert diagnose([replace(low, chosen=1)])["reflection_gain"].value == pytest.approx(-0.3)


def test_the_agent_agrees_where_it_did_what_the_score_says():
    # It went on from the first picture, which took it for wrong, and answered with the last.
    found = diagnose([scored(1, 0.0, 1.0), scored(2, 1.0, 0.0)])
    assert (found["agreement"].value, found["agreement"].n) == (0.5, 4)


def test_broken_turns_are_of_all_turns_and_words_of_the_last_prompt():
    broken = scored(1, 1.0, ending="format_error", error="no_action")
    found = diagnose([broken, scored(2, 1.0), scored(3)])
    assert (found["broken_turns"].value, found["broken_turns"].n) == (0.2, 5)
    assert (found["words_changed"].value, found["words_changed"].n) == (2.0, 2)


def test_where_nobody_speaks_nothing_is_said_of_turns():
    silent = replace(scored(1, 1.0), turns=())
    assert diagnose([silent]).keys() == {
        "first",
        "reflection_gain",
        "words_changed",
        "pictures",
        "seconds",
    }
