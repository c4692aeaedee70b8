"""The teacher and the verifier: turns of the protocol, and judgements that are true."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_data import Request, parse_turn, render_turn
from genagent_miniworld import (
    Item,
    Reading,
    Teacher,
    Verifier,
    read,
    render,
    sample_requests,
    solve,
)
from genagent_miniworld.conditions import Count, Kind, Relation, Spec, parse_hints
from genagent_miniworld.teacher import judge_words, judgement_pieces
from genagent_rewards import PairQuestion, Picture, PointQuestion

HINTS = ("exactly 2 red circles", "nothing else")


def circles(count: int):
    return render(
        tuple(Item(place=p, color="red", shape="circle", size="large") for p in range(count))
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_the_teachers_turns_are_well_formed_and_its_verdicts_true(seed):
    rng = random.Random(seed)
    teacher = Teacher()
    for request in sample_requests(9, seed=seed, split="train"):
        spec = parse_hints(request.hints)
        opening = teacher.open(request, rng)
        assert parse_turn(render_turn(opening), images_so_far=0, max_rounds=3) == opening
        picture = render(solve(spec if rng.random() < 0.5 else _other(rng), rng))
        turn = teacher.react(request, picture, rng)
        assert parse_turn(render_turn(turn), images_so_far=1, max_rounds=3) == turn
        passed = Verifier().passed(request.hints, picture)
        assert (turn.answer is not None) is passed
        assert (turn.judgement or "").split(" ")[-1] == ("good" if passed else "bad")


def _other(rng: random.Random) -> Spec:
    return parse_hints(sample_requests(1, seed=rng.randrange(10**6), split="train")[0].hints)


RED_CIRCLES = Spec(conditions=(Count(kind=Kind(color="red", shape="circle"), number=2),))
BLUE_SQUARE = Item(place=4, color="blue", shape="square", size="small")


def test_the_judgement_marks_items_and_goes_condition_by_condition():
    assert judge_words(RED_CIRCLES, read(circles(1))) == (
        "top-left red circle 1. 2 red circles 1 no. nothing else 0 yes. bad"
    )
    assert judge_words(RED_CIRCLES, Reading(items=(BLUE_SQUARE,), unclear=(8, 0))) == (
        "top-left blob extra, center blue square extra, bottom-right blob extra. "
        "2 red circles 0 no. nothing else 3 no. bad"
    )
    assert judge_words(RED_CIRCLES, read(circles(2))) == (
        "top-left red circle 1, top red circle 1. 2 red circles 2 yes. nothing else 0 yes. good"
    )
    assert judge_words(RED_CIRCLES, Reading(items=())) == (
        "nothing. 2 red circles 0 no. nothing else 0 yes. bad"
    )


def test_marks_name_the_condition_and_sizes_are_said_where_they_matter():
    square = Kind(color="blue", shape="square", size="small")
    circle = Kind(color="blue", shape="circle", size="large")
    spec = Spec(
        conditions=(
            Count(kind=circle, number=1),
            Count(kind=square, number=1),
            Relation(first=circle, relation="above", second=square),
        )
    )
    circle_there = Item(place=7, color="blue", shape="circle", size="large")
    assert judge_words(spec, Reading(items=(BLUE_SQUARE, circle_there))) == (
        "center small blue square 2, bottom large blue circle 1. 1 large blue circle 1 yes. "
        "1 small blue square 1 yes. large blue circle above small blue square no. "
        "nothing else 0 yes. bad"
    )
    top_row = Spec(
        conditions=(Count(kind=Kind(shape="square"), number=1, region="in the top row"),)
    )
    assert judge_words(top_row, Reading(items=(BLUE_SQUARE,))) == (
        "center blue square off. 1 square in the top row 0 no. nothing else 0 yes. bad"
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_conclusions_are_the_words_that_follow_from_others(seed):
    rng = random.Random(seed)
    spec, scene = _other(rng), solve(_other(rng), rng)
    pieces = judgement_pieces(spec, Reading(items=scene))
    conclusions = [text.strip() for text, conclusion in pieces if conclusion]
    numbers = len(spec.counts) + 1
    assert len(conclusions) == len(scene) + len(spec.conditions) + numbers + 2
    assert set(conclusions) <= {*"0123456789", "extra", "off", "yes", "no", "good", "bad"}
    assert (conclusions[-1] == "good") is spec.met(Reading(items=scene))
    assert conclusions[-2] == ("no" if "extra" in conclusions else "yes")
    assert conclusions[-3] == str(conclusions.count("extra"))


def test_an_explicit_prompt_names_items_in_the_order_of_the_request():
    square, circle = Kind(color="blue", shape="square"), Kind(color="red", shape="circle")
    spec = Spec(conditions=(Count(kind=square, number=1), Count(kind=circle, number=2)))
    scene = (
        Item(place=1, color="red", shape="circle", size="small"),
        Item(place=3, color="blue", shape="square", size="small"),
        Item(place=5, color="red", shape="circle", size="small"),
    )
    assert [item.place for item in spec.in_order(scene)] == [3, 1, 5]
    request = Request(id="0", prompt="p", hints=spec.hints())
    for seed in range(20):
        prompt = Teacher(explicit_first=1.0).open(request, random.Random(seed)).tool_prompt or ""
        kinds = [words.rsplit(" ", 1)[0] for words in prompt.split(", ")]
        assert kinds == ["blue square", "red circle", "red circle"]


def test_an_explicit_prompt_spells_the_scene_out_and_a_terse_one_does_not():
    request = sample_requests(1, seed=0, split="train", tasks=("color/count",))[0]
    explicit = Teacher(explicit_first=1.0).open(request, random.Random(0)).tool_prompt or ""
    terse = Teacher(explicit_first=0.0).open(request, random.Random(0)).tool_prompt or ""
    number = parse_hints(request.hints).size
    assert explicit.count(",") == number - 1
    assert "," not in terse


def test_an_impossible_request_is_named():
    kind = Kind(shape="circle")
    with pytest.raises(ValueError, match="exactly 4 circles in the top row"):
        solve(
            Spec(conditions=(Count(kind=kind, number=4, region="in the top row"),)),
            random.Random(0),
        )


def test_the_verifier_answers_point_questions():
    questions = [
        PointQuestion(request="two red circles", hints=HINTS, picture=Picture.of(circles(n)))
        for n in (1, 2)
    ]
    no, yes = Verifier().judge(questions)
    assert no is not None and yes is not None
    assert (no.choice, no.reason) == ("no", "exactly 2 red circles: no; nothing else: yes")
    assert yes.choice == "yes"


def test_the_verifier_prefers_fewer_errors_in_either_order_and_ties_equal_ones():
    def ask(first: int, second: int) -> str:
        question = PairQuestion(
            request="two red circles",
            hints=HINTS,
            first=Picture.of(circles(first)),
            second=Picture.of(circles(second)),
        )
        [verdict] = Verifier().compare([question])
        assert verdict is not None
        return verdict.choice

    assert ask(2, 1) == "first"
    assert ask(1, 2) == "second"
    assert ask(1, 3) == "tie"
