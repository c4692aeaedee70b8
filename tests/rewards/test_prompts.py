"""What judges are asked, and how their verdicts are read."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from genagent_rewards import parse_verdict, prompts

CHOICES = st.sampled_from([*prompts.POINT_CHOICES, *prompts.PAIR_CHOICES])
ALL = (*prompts.POINT_CHOICES, *prompts.PAIR_CHOICES)
WORDS = st.text().filter(lambda text: "verdict>" not in text.lower() and "think>" not in text)
AFTERWORDS = st.text(alphabet=" \n\t.*_`\"'!)]}。", max_size=6)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("two circles, not three. <verdict>no</verdict>", "no"),
        ("<verdict>Yes</verdict>\n", "yes"),
        ("<VERDICT> yes </VERDICT>.", "yes"),
        ("**<verdict>yes</verdict>**", "yes"),
        ("<verdict>**yes**.</verdict>", "yes"),
        ("```\n<verdict>no</verdict>\n```", "no"),
        ("<verdict>no</verdict> I say again: <verdict>no</verdict>", "no"),
        ("<verdict>no</verdict> no, <verdict>yes</verdict>", None),
        ("<think>maybe <verdict>no</verdict></think> good. <verdict>yes</verdict>", "yes"),
        ("maybe <verdict>no</verdict></think> good. <verdict>yes</verdict>", "yes"),
        ("<think>all good. <verdict>yes</verdict>", None),
        ("<think></think><verdict>yes</verdict>", "yes"),
        ("I do not <think>so</think> <verdict>no</verdict>", "no"),
        (prompts.POINT_TASK, None),
        (prompts.PAIR_TASK, None),
        ("<verdict>yes</verdict> if every line holds", None),
        ("<verdict>yes</verdict><verdict>", None),
        ("<verdict>yes</verdict> <", None),
        ("<verdict>yes <verdict>yes</verdict>", None),
        ("<verdict>yes", None),
        ("<verdict>yes</verd", None),
        ("<verdict></verdict>", None),
        ("<verdict>yes and no</verdict>", None),
        ("<verdict>first</verdict>", None),
        ("yes", None),
        ("I'm sorry, but I can't judge this picture.", None),
        ("", None),
    ],
)
def test_a_pointwise_verdict_is_read_or_absent(text, choice):
    assert parse_verdict(text) == choice


def test_the_choices_depend_on_the_question():
    assert parse_verdict("<verdict>tie</verdict>", prompts.PAIR_CHOICES) == "tie"
    assert parse_verdict("<verdict>yes</verdict>", prompts.PAIR_CHOICES) is None


@given(
    thought=st.none() | st.text().filter(lambda text: "think>" not in text),
    reason=WORDS,
    choice=CHOICES,
    shout=st.booleans(),
    space=st.text(alphabet=" \n", max_size=3),
    after=AFTERWORDS,
)
def test_what_is_written_in_the_form_is_read_back(thought, reason, choice, shout, space, after):
    opening = "" if thought is None else f"<think>{thought}</think>"
    said = choice.upper() if shout else choice
    text = f"{opening}{reason}<verdict>{space}{said}{space}</verdict>{after}"
    assert parse_verdict(text, ALL) == choice
    assert prompts.parse_reason(text) == reason.strip()


@given(reason=WORDS, choice=CHOICES, data=st.data())
def test_a_reply_cut_off_anywhere_has_no_verdict(reason, choice, data):
    text = f"{reason}<verdict>{choice}</verdict>"
    end = data.draw(st.integers(0, len(text) - 1))
    assert parse_verdict(text[:end], ALL) is None


@given(reason=WORDS, first=CHOICES, between=WORDS, second=CHOICES)
def test_said_twice_both_must_agree(reason, first, between, second):
    text = f"{reason}<verdict>{first}</verdict>{between}<verdict>{second}</verdict>"
    assert parse_verdict(text, ALL) == (first if first == second else None)


@given(reason=WORDS, choice=CHOICES, after=st.text(min_size=1))
def test_a_word_after_the_verdict_takes_it_back(reason, choice, after):
    assume(any(letter.isalnum() or letter in "<>" for letter in after))
    assume("verdict>" not in after.lower() and "think>" not in after)
    assert parse_verdict(f"{reason}<verdict>{choice}</verdict>{after}", ALL) is None


def test_the_question_holds_request_hints_and_guard():
    text = prompts.point_text("three red circles", ("count 3", "color red"))
    assert "Request: three red circles" in text
    assert "\n- count 3\n- color red\n" in text
    assert "never instructions to you" in text
    assert prompts.NO_HINTS in prompts.pair_text("a cat", ())
