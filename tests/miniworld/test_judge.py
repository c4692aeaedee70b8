"""The miniature's judges: who may be named, what an evaluation's audit says, how good judge-mini
is on pictures it has never seen."""

import random

import pytest

from genagent_data import PictureStore, Request, Round, Trajectory
from genagent_miniworld import (
    TOOLS,
    Item,
    JudgeConfig,
    Judges,
    Verifier,
    audit_outcomes,
    judge_outcomes,
    load_judge,
    load_judges,
    load_tool,
    read,
    render,
)
from genagent_miniworld.building.judge_cases import Case, drawn_cases
from genagent_miniworld.building.judge_report import judge_figures, measure
from genagent_rewards import ChatReply, PointQuestion, Verdict

HINTS = ("exactly 1 red circle", "nothing else")
GOOD = render((Item(place=4, color="red", shape="circle", size="large"),), seed=1)
BAD = render((Item(place=4, color="blue", shape="circle", size="large"),), seed=2)


class Flatterer:
    """Says yes to everything; prefers whatever comes first."""

    def judge(self, questions):
        return [Verdict(choice="yes", reason="lovely", judge="flatterer") for _ in questions]

    def compare(self, questions):
        return [Verdict(choice="first", reason="lovely", judge="flatterer") for _ in questions]


def outcomes_of(store: PictureStore, *pictures):
    request = Request(id="1", prompt="a red circle", task="color", hints=HINTS)
    return judge_outcomes(
        [
            Trajectory(
                request=request,
                rounds=(Round(thinking=None, tool_prompt="x", image=store.put(picture)),),
                ending="answer",
                answer="done",
            )
            for picture in pictures
        ],
        store,
    )


def test_a_judge_that_is_fooled_shows_in_the_audit_of_an_evaluation(tmp_path):
    store = PictureStore(tmp_path)
    outcomes = outcomes_of(store, GOOD, BAD, BAD)
    flattered = audit_outcomes(outcomes, Judges(point=Flatterer(), pair=Flatterer()), store)
    assert flattered == {"judged_success": 1.0, "false_accept": 1.0, "false_reject": 0.0}
    exact = audit_outcomes(outcomes, load_judges(JudgeConfig(name="verifier")), store)
    assert exact == {"judged_success": 1 / 3, "false_accept": 0.0, "false_reject": 0.0}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "nobody"}, "no judge 'nobody'"),
        ({"name": "http://localhost:1/v1"}, "--judge.model"),
        ({"name": "http://", "model": "m"}, "http://"),
        ({"name": "http://localhost:1/v1", "model": "m", "max_concurrency": 0}, "max_concurrency"),
    ],
)
def test_a_judge_that_cannot_be_is_named_with_the_remedy(options, named):
    with pytest.raises(ValueError, match=named):
        JudgeConfig(**options)


def test_an_endpoint_that_does_not_answer_is_found_out_before_anything_is_at_stake():
    config = JudgeConfig(name="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9"):
        load_judges(config)


def test_the_verifier_asks_nobody_and_counts_nothing():
    judges = load_judges(JudgeConfig(name="verifier"))
    assert isinstance(judges.point, Verifier)
    assert judges.take_counts() == {}


def test_judge_mini_gives_reasons_and_remembers_its_verdicts(tmp_path):
    questions = [
        PointQuestion(request="a red circle", hints=HINTS, picture=picture)
        for picture in (GOOD, BAD)
    ]
    judges = load_judges(JudgeConfig(name="judge-mini"), cache=tmp_path / "verdicts.sqlite")
    first = judges.point.judge(questions)
    assert [verdict.choice for verdict in first if verdict] == ["yes", "no"]
    assert first[1] is not None and "center blue circle extra" in first[1].reason
    assert judges.take_counts() == {"judge/asked": 2, "judge/cached": 0, "judge/absent": 0}
    again = load_judges(JudgeConfig(name="judge-mini"), cache=tmp_path / "verdicts.sqlite")
    assert again.point.judge(questions) == first
    assert again.take_counts() == {"judge/asked": 0, "judge/cached": 2, "judge/absent": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_judge_mini_agrees_with_the_verifier_on_pictures_it_has_not_seen(name):
    # The table beside the weights has the agreement to a point; this is a guard against damage.
    cases = drawn_cases(60, load_tool(name), seed=random.Random(name).getrandbits(20))
    found = measure(load_judge(), cases)
    assert sum(found.point) / len(found.point) > 0.9
    assert sum(found.pair) / len(found.pair) > 0.85
    assert found.absent <= 2


class YesToEverything:
    """A chat model that passes every picture and prefers whatever comes first."""

    name = "yes"

    def reply(self, requests, *, accept, arrived=None):
        texts = [
            f"fine\n<verdict>{'first' if len(pictures(request)) == 2 else 'yes'}</verdict>"
            for request in requests
        ]
        assert all(map(accept, texts))
        return [ChatReply(text=text, attempts=1, model="yes", raw=text) for text in texts]


def pictures(request):
    return [part for part in request.parts if not isinstance(part, str)]


def test_agreement_counts_each_picture_once_and_each_pair_in_both_orders():
    request = Request(id="1", prompt="a red circle", task="color", hints=HINTS)
    cases = [
        Case(request=request, pictures=pair, readings=(read(pair[0]), read(pair[1])))
        for pair in ((GOOD, BAD), (BAD, BAD))
    ]
    found = measure(YesToEverything(), cases)
    assert found.point == (True, False, False, False)
    assert found.pair == (True, False, False, False)  # two equal ones are a tie
    assert found.unequal == (True, False)
    assert (found.leaning, found.equal, found.absent) == (1.0, 2, 0)
    rows = judge_figures(YesToEverything(), cases, drawn_by="hand")
    assert [(row.rate.hits, row.rate.trials) for row in rows] == [(1, 4), (1, 4), (4, 4)]
    assert all(row.what.endswith("pictures by hand") for row in rows)
