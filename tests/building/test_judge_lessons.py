"""What the judge is taught: its sums are the verifier's, its tokens a chat server's."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_building.judge import build_judge
from genagent_building.judge_cases import rendered_case
from genagent_building.judge_lessons import (
    JudgeChat,
    pair_reply,
    point_reply,
)
from genagent_building.lessons import scene_to_judge
from genagent_data import Request
from genagent_miniworld import Item, Reading, parse_hints, read, sample_requests, weights
from genagent_policy import Policy
from genagent_rewards import parse_verdict, prompts

CIRCLE = Item(place=1, color="red", shape="circle", size="large")
SQUARE = Item(place=3, color="blue", shape="square", size="large")
TWO_CIRCLES = parse_hints(("exactly 2 red circles", "nothing else"))


def said(pieces: list[tuple[str, bool]]) -> str:
    return "".join(text for text, _ in pieces)


def test_a_pointwise_reply_reads_holds_against_and_decides():
    reading = Reading(items=(CIRCLE, SQUARE), unclear=(4,))
    assert said(point_reply(TWO_CIRCLES, reading)) == (
        "seen: top red circle 1, left blue square extra, center blob extra. 2 red circles 1 no. "
        "nothing else 2 no.\n<verdict>no</verdict>"
    )
    both = Reading(items=(CIRCLE, Item(place=5, color="red", shape="circle", size="small")))
    assert said(point_reply(TWO_CIRCLES, both)).endswith("\n<verdict>yes</verdict>")


def test_a_pairwise_reply_adds_up_misses_and_compares_them():
    one, none = Reading(items=(CIRCLE,)), Reading(items=())
    assert said(pair_reply(TWO_CIRCLES, [one, none])) == (
        "first: top red circle 1. 2 red circles 1 misses 1 sum 1. nothing else 0 misses 0 sum 1. "
        "second: nothing. 2 red circles 0 misses 2 sum 2. nothing else 0 misses 0 sum 2."
        "\n<verdict>first</verdict>"
    )
    assert said(pair_reply(TWO_CIRCLES, [one, one])).endswith("<verdict>tie</verdict>")


def test_regions_and_relations_are_said_before_they_are_judged():
    spec = parse_hints(("exactly 1 blue square at center", "exactly 1 red circle"))
    reading = Reading(items=(CIRCLE, SQUARE))
    assert said(point_reply(spec, reading)) == (
        "seen: top red circle 2, left blue square 1 at center off. 1 blue square at center 0 off 1 "
        "no. 1 red circle 1 yes. nothing else 0 yes.\n<verdict>no</verdict>"
    )
    spec = parse_hints(
        ("exactly 1 blue square", "exactly 1 red circle", "blue square above red circle")
    )
    assert said(point_reply(spec, reading)).endswith(
        "blue square above red circle 2 to 1 no. nothing else 0 yes.\n<verdict>no</verdict>"
    )


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_misses_are_the_verifiers_errors_and_verdicts_follow_from_them(seed):
    rng = random.Random(seed)
    spec = parse_hints(sample_requests(1, seed=seed, split="train")[0].hints)
    readings = [
        Reading(
            items=scene_to_judge(spec, rng),
            unclear=tuple(sorted(rng.sample(range(9), rng.randint(0, 2)))),
        )
        for _ in range(2)
    ]
    errors = [sum(error for _, error in spec.errors(reading)) for reading in readings]
    words = said(pair_reply(spec, readings))
    sums = [half.split(" sum ")[-1].split(".")[0] for half in words.split(" second:")]
    assert [int(number) for number in sums] == errors
    expected = "tie" if errors[0] == errors[1] else "first" if errors[0] < errors[1] else "second"
    assert parse_verdict(words, prompts.PAIR_CHOICES) == expected
    verdict = parse_verdict(said(point_reply(spec, readings[0])))
    assert verdict == ("yes" if errors[0] == 0 else "no")


@pytest.fixture(scope="module")
def judge() -> Policy:
    return build_judge(Policy.load(weights("base")), seed=0)


@pytest.mark.parametrize("kind", ["point", "pair"])
def test_lessons_have_the_tokens_that_a_chat_server_makes_of_a_question(judge, kind):
    hints = ("exactly 2 red circles in the top row", "nothing else")
    request = Request(id="1", prompt="2 red circles in the top row", task="count", hints=hints)
    case = rendered_case(request, random.Random(3))
    chat = JudgeChat(judge)
    if kind == "point":
        lesson, pictures = chat.point(case, 1), [case.pictures[1]]
        content = [{"type": "image"}, words(prompts.point_text(request.prompt, hints))]
    else:
        lesson, pictures = chat.pair(case, swapped=True), list(case.pictures[::-1])
        content = [
            words(prompts.FIRST_PICTURE),
            {"type": "image"},
            words(prompts.SECOND_PICTURE),
            {"type": "image"},
            words(prompts.pair_text(request.prompt, hints)),
        ]
    text = judge.processor.apply_chat_template(
        [{"role": "system", "content": prompts.SYSTEM}, {"role": "user", "content": content}],
        tokenize=False,
        add_generation_prompt=True,
    )
    served = judge.processor(text=[text], images=pictures, return_tensors="pt")
    question = served["input_ids"][0]
    assert lesson.ids[: len(question)].equal(question)
    assert judge.chat.expand_pictures(lesson.pixel_values).equal(served["pixel_values"])
    assert not lesson.policy_mask[: len(question)].any()
    assert lesson.policy_mask[len(question) :].all()
    spec = parse_hints(hints)
    reply = (
        point_reply(spec, read(case.pictures[1]))
        if kind == "point"
        else pair_reply(spec, [read(picture) for picture in case.pictures[::-1]])
    )
    answer = judge.processor.tokenizer.decode(lesson.ids[len(question) :])
    assert answer == said(reply) + "<|im_end|>"
    # The question's constant words are a token each, so that it is short beside its answer.
    assert len(question) < 75


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_a_drill_learns_conclusions_only(judge):
    request = Request(
        id="1",
        prompt="2 red circles",
        task="count",
        hints=("exactly 2 red circles", "nothing else"),
    )
    lesson = JudgeChat(judge).drill(request, [Reading(items=(CIRCLE, SQUARE))])
    learnt = judge.processor.tokenizer.convert_ids_to_tokens(lesson.ids[lesson.policy_mask])
    assert "".join(learnt).replace("Ġ", " ") == " 1 extra 1 no 1 no<verdict>no"
    assert len(lesson.grids) == 0
