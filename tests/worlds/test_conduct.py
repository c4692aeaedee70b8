import pytest
from tests.worlds.builders import BLUE, RED

from genagent_data import Ending, Request, Round, Trajectory
from genagent_worlds import (
    Outcome,
    Rate,
    conduct,
    conduct_rows,
    is_near,
    spoils,
    turns_said,
    word_distance,
)
from genagent_worlds.conduct import Conduct

REQUEST = "three red circles above a blue square"
OWN = "red circle top-left, red circle top, red circle top-right, blue square bottom"


def outcome(
    *passed: bool | None,
    prompts: tuple[str, ...] | None = None,
    ending: Ending = "answer",
) -> Outcome:
    """An attempt whose pictures passed or not; more prompts than pictures: the tool failed one."""
    prompts = (OWN,) * len(passed) if prompts is None else prompts
    pictures = [RED if one else BLUE for one in passed] + [None] * (len(prompts) - len(passed))
    rounds = tuple(
        Round(thinking="t", tool_prompt=prompt, picture=picture)
        for prompt, picture in zip(prompts, pictures, strict=True)
    )
    trajectory = Trajectory(
        request=Request(id="1", prompt=REQUEST), rounds=rounds, ending=ending, answer=None
    )
    return Outcome(trajectory=trajectory, passed=passed, source="truth")


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        (REQUEST, REQUEST, 0),
        (REQUEST, "Three RED circles, above a blue square!", 0),
        (REQUEST, "three blue circles above a blue square", 1),
        (REQUEST, "red circles above a blue square, please, now", 3),
        (REQUEST, "", 7),
        ("a b", "b a", 2),
        ("top-left", "top left", 0),
    ],
)
def test_words_apart(one: str, other: str, distance: int):
    assert word_distance(one, other) == distance
    assert word_distance(other, one) == distance


def test_near_is_up_to_five_words():
    five, six = REQUEST + " one two three four five", REQUEST + " one two three four five six"
    assert is_near(outcome(True, prompts=(five,)), "first") is True
    assert is_near(outcome(True, prompts=(six,)), "first") is False
    assert is_near(outcome(True, prompts=(six,)), "first", words=6) is True
    turned = outcome(False, True, prompts=(REQUEST, OWN))
    assert (is_near(turned, "first"), is_near(turned, "last")) == (True, False)
    assert is_near(outcome(ending="format_error"), "first") is None


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ((True,), False),
        ((True, False), True),
        ((True, False, True), True),
        ((False, True), False),
        ((False, True, True), False),
        ((False, True, False), True),
        ((False, False), None),
        ((), None),
        ((True, None), None),
    ],
)
def test_over_reflection(passed: tuple[bool | None, ...], expected: bool | None):
    assert spoils(outcome(*passed)) is expected


@pytest.mark.parametrize(
    ("attempt", "turns"),
    [
        (outcome(ending="format_error"), 1),
        (outcome(True), 2),
        (outcome(False, True, ending="out_of_rounds"), 3),
        (outcome(False, ending="format_error"), 2),
        (outcome(prompts=(OWN,), ending="tool_failure"), 1),
        (outcome(False, prompts=(OWN, OWN), ending="tool_failure"), 2),
    ],
)
def test_turns_that_were_said(attempt: Outcome, turns: int):
    assert turns_said(attempt) == turns


def attempts() -> list[Outcome]:
    return [
        outcome(True, prompts=(REQUEST,)),
        outcome(False, True, prompts=(REQUEST, OWN)),
        outcome(False, True),
        outcome(True, False, ending="format_error"),
        outcome(ending="format_error"),
        outcome(False, prompts=(OWN, OWN), ending="tool_failure"),
    ]


def test_the_conduct_of_some_attempts():
    found = conduct(attempts())
    # Turns: 2 + 3 + 3 + 3 + 1 + 2.
    assert found.broken_turns == Rate(hits=2, trials=14)
    assert found.first_prompt_near == Rate(hits=2, trials=5)
    assert found.last_prompt_near == Rate(hits=1, trials=5)
    gain = found.reflection_gain
    # The one that the tool ended is known by its first picture only, and is no pair.
    assert (gain.both, gain.first_only, gain.second_only, gain.neither) == (1, 1, 2, 1)
    assert gain.value == 0.2
    assert found.over_reflection == Rate(hits=1, trials=4)


def test_figures_metrics_and_rows():
    found = conduct(attempts())
    figures = found.figures()
    assert list(figures) == [
        *("broken_turns", "first_prompt_near", "last_prompt_near"),
        *("reflection_gain", "over_reflection"),
    ]
    assert figures["over_reflection"] == {
        "value": 0.25,
        "interval_95": pytest.approx((0.0456, 0.6994), abs=1e-4),
        "n": 4,
    }
    assert found.metrics()["broken_turns"] == 2 / 14
    nothing = conduct([outcome(ending="format_error")])
    assert set(nothing.metrics()) == {"broken_turns", "reflection_gain"}
    rows = conduct_rows(nothing, found)
    assert rows[0] == {
        "measured": "broken turns",
        "before": "100.0 [20.7, 100.0]",
        "n": "1",
        "after": "14.3 [4.0, 39.9]",
        "n ": "14",
    }
    assert rows[4]["before"] == "unknown"
    assert isinstance(found, Conduct)


def test_a_trajectory_of_a_fixed_number_of_pictures_has_no_agents_turns():
    assert turns_said(outcome(True, False, ending="fixed")) == 0
    assert turns_said(outcome(True, False)) == 3
