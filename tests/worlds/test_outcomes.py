"""Outcomes: by whose verdict, under which name, what a summary counts, and files of them."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.builders import (
    BLUE,
    BLUE_TOO,
    GRAY,
    RED,
    RED_TOO,
    ByColor,
    NeverAsked,
    flat,
    trajectory,
    verdict,
    world,
)

from genagent_data import PictureStore, Request, Round, Trajectory, trajectory_to_row, write_jsonl
from genagent_rewards import PointQuestion, RewardBreakdown, RewardRecord
from genagent_worlds import (
    Outcome,
    PictureWord,
    judge_outcomes,
    measure,
    read_outcomes,
    step_figures,
    success_name,
    summarize,
    write_outcomes,
)

ATTEMPTS = [
    trajectory(0, BLUE, RED),
    trajectory(1, RED, ending="format_error", error="invalid_json"),
    trajectory(2, ending="format_error", error="no_action"),
    trajectory(3, RED, ending="out_of_rounds"),
]
NO_DRAWING = RewardRecord(
    breakdown=RewardBreakdown(total=-0.2, point=0.0, pair=0.0, format=-0.2), point_verdict=None
)


def outcome(*passed: bool | None) -> Outcome:
    drawn = [flat("red", 4 + number) for number in range(len(passed))]
    return Outcome(trajectory=trajectory(0, *drawn), passed=passed, source="judge")


def record(choice: Literal["yes", "no"] | None) -> RewardRecord:
    """The reward of a picture with this verdict, or of one whose verdict could not be had."""
    if choice is None:
        return RewardRecord(breakdown=None, point_verdict=None)
    point = 0.7 if choice == "yes" else 0.0
    breakdown = RewardBreakdown(total=point, point=point, pair=0.0, format=0.0)
    return RewardRecord(breakdown=breakdown, point_verdict=verdict(choice))


def test_success_is_by_the_last_picture_and_none_without_one():
    assert (outcome(False, True).success, outcome(False, True).first_success) == (True, False)
    assert (outcome(True, False).success, outcome(True, False).first_success) == (False, True)
    assert (outcome(None, True).success, outcome(None, True).first_success) == (True, None)
    assert (outcome().success, outcome().first_success) == (False, False)


@pytest.mark.parametrize(
    ("drawn", "passed", "success", "first"),
    [
        ((None,), (), None, None),
        ((BLUE, None), (False,), None, False),
        ((RED, None), (True,), None, True),
        ((GRAY, None), (None,), None, None),
    ],
)
@pytest.mark.parametrize("ending", ["tool_failure", "model_failure"])
def test_what_the_tool_failed_is_no_failure_of_the_agent(drawn, passed, success, first, ending):
    attempt = trajectory(0, *drawn, ending=ending, error="no memory")
    [one] = judge_outcomes([attempt], ByColor(), source="truth")
    assert one.passed == passed and one.service_failed
    # A first picture that was drawn says what it says; there would have been another last one.
    assert (one.success, one.first_success) == (success, first)


TOOL_FAILED = [
    trajectory(7, None, ending="tool_failure", error="no memory"),
    trajectory(8, BLUE, None, ending="tool_failure", error="no memory"),
]


@pytest.mark.parametrize("truth", [True, False])
def test_figures_are_of_those_that_the_tool_did_not_fail(truth):
    judged = world(NeverAsked(), truth=ByColor()) if truth else world(ByColor())
    name = "success" if truth else "judged_success"
    figures = summarize(measure(judged, [*ATTEMPTS, *TOOL_FAILED]))
    assert figures == {
        "tool_failures": pytest.approx(2 / 6),
        # Last pictures of the four others: yes, yes, none drawn, yes.
        name: 0.75,
        # First ones of all that drew: no, yes, yes, no; and none drawn.
        f"first_{name}": 0.4,
        "rounds": 1.0,
        "format_errors": 0.5,
        "judgement_agreement": 0.75,
        **({} if truth else {"absent_verdicts": 0.0}),
    }
    only = summarize(measure(judged, TOOL_FAILED[:1]))
    assert only == {"tool_failures": 1.0, **({} if truth else {"absent_verdicts": 0.0})}


def test_every_picture_is_asked_about_in_one_call():
    judge = ByColor()
    outcomes = judge_outcomes(iter(ATTEMPTS), judge, source="judge")
    assert [one.passed for one in outcomes] == [(False, True), (True,), (), (True,)]
    assert [one.trajectory for one in outcomes] == ATTEMPTS
    assert judge.calls == [
        [
            PointQuestion(request="red 0", hints=("it is red 0",), picture=BLUE),
            PointQuestion(request="red 0", hints=("it is red 0",), picture=RED),
            PointQuestion(request="red 1", hints=("it is red 1",), picture=RED),
            PointQuestion(request="red 3", hints=("it is red 3",), picture=RED),
        ]
    ]


def test_where_the_truth_is_known_the_judge_is_not_asked():
    outcomes = measure(world(NeverAsked(), truth=ByColor()), ATTEMPTS)
    assert [one.passed for one in outcomes] == [(False, True), (True,), (), (True,)]
    assert {one.source for one in outcomes} == {"truth"}
    assert summarize(outcomes) == {
        "success": 0.75,
        "first_success": 0.5,
        "rounds": 1.0,
        "format_errors": 0.5,
        # Of three pictures the agent went on from: right of both of the first, wrong of the last.
        "judgement_agreement": pytest.approx(2 / 3),
        "tool_failures": 0.0,
    }


def test_without_a_truth_success_is_named_after_the_judge_and_absent_verdicts_are_counted():
    attempts = [
        *ATTEMPTS,
        trajectory(4, BLUE, GRAY),
        trajectory(5, GRAY),
        trajectory(6, GRAY, BLUE_TOO),
    ]
    outcomes = measure(world(ByColor()), attempts)
    assert {one.source for one in outcomes} == {"judge"}
    assert summarize(outcomes) == {
        # Last pictures: yes, yes, none drawn, yes, absent, absent, no.
        "judged_success": pytest.approx(3 / 5),
        # First pictures: no, yes, none drawn, yes, no, absent, absent.
        "first_judged_success": pytest.approx(2 / 5),
        "rounds": pytest.approx(9 / 7),
        "format_errors": pytest.approx(2 / 7),
        # Pictures with both verdicts: agreed on 0's two, on 4's first; not on 3's and 6's last.
        "judgement_agreement": pytest.approx(3 / 5),
        "absent_verdicts": 3.0,
        "tool_failures": 0.0,
    }


def test_an_outcome_says_why_a_verdict_is_missing_where_the_judge_does():
    class Frank(ByColor):
        def why_absent(self, question) -> str | None:
            return f"blind to {question.request}"

    attempts = [trajectory(0, GRAY, RED), trajectory(1, RED)]
    frank, plain = (judge_outcomes(attempts, one, source="judge") for one in (Frank(), ByColor()))
    assert [one.why_absent for one in frank] == ["blind to red 0", None]
    assert [one.why_absent for one in plain] == [None, None]
    assert [one.reasons for one in frank] == [("blind to red 0", "looked"), ("looked",)]


def test_success_has_one_name_for_each_source():
    assert (success_name("truth"), success_name("judge")) == ("success", "judged_success")


@pytest.mark.parametrize(
    ("attempt", "agreements"),
    [
        (trajectory(0, RED), [True]),  # answered with a good picture
        (trajectory(0, BLUE), [False]),  # answered with a bad one
        (trajectory(0, BLUE, RED), [True, True]),  # drew again after a bad one
        (trajectory(0, RED, RED_TOO), [False, True]),  # drew again after a good one
        (trajectory(0, BLUE, RED, ending="out_of_rounds"), [True, False]),  # wanted yet another
        (trajectory(0, BLUE, RED, ending="format_error"), [True]),  # broke off
        (trajectory(0, BLUE, None, ending="tool_failure"), [True]),  # the tool failed it
        (trajectory(0, None, ending="tool_failure"), []),
        (trajectory(0, BLUE, None, RED), [True, True]),  # drew again after a failure
        (trajectory(0, GRAY, RED), [True]),  # the judge said nothing of the first
        (trajectory(0), []),
    ],
)
def test_agreement_follows_from_what_the_agent_did_next(attempt, agreements):
    [one] = judge_outcomes([attempt], ByColor(), source="truth")
    assert one.agreements == agreements


def test_a_steps_figures_with_a_truth_are_of_all_attempts_by_the_truth():
    figures = step_figures(world(NeverAsked(), truth=ByColor()), ATTEMPTS, [record("no")])
    assert figures == {
        "agent/success": 0.75,
        "agent/first_success": 0.5,
        "agent/rounds": 1.0,
        "rollout/format_errors": 0.5,
        "rollout/judgement_agreement": pytest.approx(2 / 3),
        "rollout/tool_failures": 0.0,
    }


def test_a_steps_figures_without_a_truth_ask_nobody():
    kept = [record("yes"), record("no"), record("no"), record(None), record(None)]
    figures = step_figures(world(NeverAsked()), ATTEMPTS, kept)
    assert figures == {
        "agent/judged_success": pytest.approx(1 / 3),
        "agent/rounds": 1.0,
        "rollout/format_errors": 0.5,
        "rollout/tool_failures": 0.0,
    }


def test_a_steps_figures_are_of_those_that_the_tool_did_not_fail():
    attempts = [*ATTEMPTS, *TOOL_FAILED]
    judged = step_figures(world(NeverAsked()), attempts, [record("yes")])
    true = step_figures(world(NeverAsked(), truth=ByColor()), attempts, [])
    for figures in (judged, true):
        assert figures["rollout/tool_failures"] == pytest.approx(2 / 6)
        assert figures["agent/rounds"] == 1.0
        assert figures["rollout/format_errors"] == 0.5
    assert true["agent/success"] == 0.75


def test_a_kept_attempt_that_drew_nothing_has_no_judged_success():
    # As in an evaluation, where ``Outcome.success`` is False without a picture.
    figures = step_figures(world(NeverAsked()), ATTEMPTS, [record("yes"), NO_DRAWING])
    assert figures["agent/judged_success"] == 0.5


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    store = PictureStore(tmp_path / "pictures")
    drawn = [store.put(picture.image) for picture in (BLUE, RED)]
    outcomes = [
        Outcome(
            trajectory=trajectory(0, *drawn),
            passed=(False, None),
            source="judge",
            why_absent="400: no pictures here",
            reasons=("no red anywhere", "400: no pictures here"),
            judged=PictureWord(passed=False, reason="blue"),
        ),
        Outcome(
            trajectory=trajectory(1, drawn[1], None, ending="tool_failure", error="no answer"),
            passed=(True,),
            source="truth",
        ),
    ]
    path = tmp_path / "before.jsonl"
    write_outcomes(path, iter(outcomes))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["passed"], row["source"]) for row in rows] == [
        ([False, None], "judge"),
        ([True], "truth"),
    ]
    read = read_outcomes(path, store)
    assert read == outcomes
    assert read[0].trajectory.pictures[1].image.tobytes() == RED.image.tobytes()
    assert summarize(read[:1]) == summarize(outcomes[:1])


@given(data=st.data())
def test_files_of_outcomes_keep_everything(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("outcomes")
    store = PictureStore(folder / "pictures")
    text = st.text(max_size=8)
    rounds = st.builds(
        Round,
        thinking=st.none() | text,
        tool_prompt=text,
        picture=st.none() | st.sampled_from([RED, BLUE]).map(lambda one: store.put(one.image)),
        judgement=st.none() | text,
        seed=st.integers(0, 2**31),
        tool_seconds=st.floats(0, 100),
    )
    attempts = st.builds(
        Trajectory,
        request=st.builds(
            Request,
            id=text,
            prompt=text.map(lambda words: words + "x"),
            task=text,
            hints=st.lists(text, max_size=2).map(tuple),
            reference=st.none() | text,
        ),
        rounds=st.lists(rounds, max_size=3).map(tuple),
        answer=st.none() | text,
        ending=st.sampled_from(["answer", "out_of_rounds", "format_error", "tool_failure"]),
        error=st.none() | text,
    )
    outcomes = [
        Outcome(
            trajectory=attempt,
            passed=tuple(data.draw(st.sampled_from([True, False, None])) for _ in attempt.pictures),
            source=data.draw(st.sampled_from(["truth", "judge"])),
        )
        for attempt in data.draw(st.lists(attempts, max_size=3))
    ]
    write_outcomes(folder / "after.jsonl", outcomes)
    assert read_outcomes(folder / "after.jsonl", store) == outcomes


def test_a_line_that_is_no_outcome_is_named(tmp_path):
    store = PictureStore(tmp_path)
    path = tmp_path / "before.jsonl"
    write_outcomes(path, [Outcome(trajectory=trajectory(0), passed=(), source="truth")])
    for line, said in (
        ("{", "Expecting"),
        ("[]", "a list and no object"),
        ("{}", "not a trajectory"),
    ):
        path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
        with pytest.raises(ValueError, match=f"before.jsonl:2: .*{said}"):
            read_outcomes(path, store)
    with pytest.raises(OSError, match=r"missing\.jsonl"):
        read_outcomes(tmp_path / "missing.jsonl", store)


def test_a_picture_that_is_gone_is_named(tmp_path):
    path = tmp_path / "before.jsonl"
    write_outcomes(path, [Outcome(trajectory=trajectory(0, RED), passed=(True,), source="truth")])
    with pytest.raises(FileNotFoundError, match=RED.name):
        read_outcomes(path, PictureStore(tmp_path / "pictures"))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"passed": [], "source": "truth"},
        {"passed": None, "source": "truth"},
        {"passed": [True]},
    ],
    ids=["a trajectory", "a verdict too few", "null", "no source"],
)
def test_a_line_without_its_verdicts_is_no_outcome(tmp_path, more):
    store = PictureStore(tmp_path / "pictures")
    path = tmp_path / "before.jsonl"
    row = trajectory_to_row(trajectory(0, store.put(RED.image)))
    write_jsonl(path, [row | more])
    with pytest.raises(ValueError, match=r"before\.jsonl:1: "):
        read_outcomes(path, store)
