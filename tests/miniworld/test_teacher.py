"""The teacher and the verifier: turns of the protocol, and judgements that are true."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_data import parse_turn, render_turn
from genagent_miniworld import Item, Teacher, Verifier, read, render, sample_requests, solve
from genagent_miniworld.conditions import Count, Kind, Spec, parse_hints
from genagent_miniworld.teacher import judge_words, judged_good
from genagent_rewards import PairQuestion, PointQuestion

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
        assert judged_good(turn.judgement or "") is passed


def _other(rng: random.Random) -> Spec:
    return parse_hints(sample_requests(1, seed=rng.randrange(10**6), split="train")[0].hints)


def test_the_judgement_goes_condition_by_condition():
    spec = Spec(conditions=(Count(kind=Kind(color="red", shape="circle"), number=2),))
    assert judge_words(spec, read(circles(1))) == (
        "red circle top-left. 2 red circles no. nothing else yes. bad"
    )


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
        PointQuestion(request="two red circles", hints=HINTS, picture=circles(n)) for n in (1, 2)
    ]
    no, yes = Verifier().judge(questions)
    assert (no.choice, no.reason) == ("no", "exactly 2 red circles: no; nothing else: yes")
    assert yes.choice == "yes"


def test_the_verifier_prefers_fewer_errors_in_either_order_and_ties_equal_ones():
    def ask(first: int, second: int) -> str:
        question = PairQuestion(
            request="two red circles", hints=HINTS, first=circles(first), second=circles(second)
        )
        return Verifier().compare([question])[0].choice

    assert ask(2, 1) == "first"
    assert ask(1, 2) == "second"
    assert ask(1, 3) == "tie"


def test_judged_good_reads_the_last_word_only():
    assert judged_good("x. nothing else yes. good") is True
    assert judged_good("good so far. bad") is False
    assert judged_good("no verdict") is None
