"""The miniature's judges: who may be named, what an evaluation's audit says, and what judge-mini
says of a good and of a bad picture."""

import pytest

from genagent_data import Picture, Request, Round, Trajectory
from genagent_miniworld import Item, Miniature, Verifier, render
from genagent_miniworld.world import GrammarRequests
from genagent_rewards import PointQuestion, Verdict
from genagent_worlds import Judges, World, audit_outcomes, measure, with_judge

HINTS = ("exactly 1 red circle", "nothing else")
GOOD = Picture.of(render((Item(place=4, color="red", shape="circle", size="large"),), seed=1))
BAD = Picture.of(render((Item(place=4, color="blue", shape="circle", size="large"),), seed=2))
TRUTH = Judges(point=Verifier(), pair=Verifier())
COUNTS = dict.fromkeys(("judge/asked", "judge/cached", "judge/absent", "judge/unparsed"), 0.0)


class Flatterer:
    """Says yes to everything; prefers whatever comes first."""

    def judge(self, questions) -> list[Verdict | None]:
        return [Verdict(choice="yes", reason="lovely", judge="flatterer") for _ in questions]

    def compare(self, questions) -> list[Verdict | None]:
        return [Verdict(choice="first", reason="lovely", judge="flatterer") for _ in questions]


class NoTool:
    def generate(self, prompts, seeds):
        raise AssertionError("nothing is to be drawn")


def world(judges: Judges) -> World:
    return World(train=GrammarRequests(), held_out=(), tool=NoTool(), judges=judges, truth=TRUTH)


def attempts(*pictures: Picture) -> list[Trajectory]:
    request = Request(id="1", prompt="a red circle", task="color", hints=HINTS)
    return [
        Trajectory(
            request=request,
            rounds=(Round(thinking=None, tool_prompt="x", picture=picture),),
            ending="answer",
            answer="done",
        )
        for picture in pictures
    ]


def test_a_judge_that_is_fooled_shows_in_the_audit_of_an_evaluation():
    fooled = world(Judges(point=Flatterer(), pair=Flatterer()))
    outcomes = measure(fooled, attempts(GOOD, BAD, BAD))
    assert [outcome.passed for outcome in outcomes] == [(True,), (False,), (False,)]
    assert audit_outcomes(with_judge(fooled, outcomes)) == {
        "judged_success": 1.0,
        "false_accept": 1.0,
        "false_reject": 0.0,
    }
    assert audit_outcomes(with_judge(world(TRUTH), outcomes)) == {
        "judged_success": 1 / 3,
        "false_accept": 0.0,
        "false_reject": 0.0,
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"judge": "nobody"}, "no judge 'nobody'"),
        ({"judge": "http://localhost:1/v1"}, "--world.judge-model"),
        ({"judge": "http://", "judge_model": "m"}, "http://"),
        (
            {"judge": "http://localhost:1/v1", "judge_model": "m", "judge_concurrency": 0},
            "max_concurrency",
        ),
        # An endpoint that does not answer is found out before anything is at stake.
        ({"judge": "http://127.0.0.1:9/v1", "judge_model": "m"}, "127.0.0.1:9"),
    ],
)
def test_a_judge_that_cannot_be_is_named_with_the_remedy(options, named):
    [line] = Miniature(**options).problems()
    assert named in line


def test_the_verifier_asks_nobody_and_counts_nothing(tmp_path):
    opened = Miniature(judge="verifier").open(tmp_path, seed=0)
    assert isinstance(opened.judges.point, Verifier)
    assert isinstance(opened.judges.pair, Verifier)
    assert opened.judges is opened.truth
    assert opened.judges.take_counts() == {}
    assert list(tmp_path.iterdir()) == []


def test_judge_mini_gives_reasons_and_remembers_its_verdicts(tmp_path):
    questions = [
        PointQuestion(request="a red circle", hints=HINTS, picture=picture)
        for picture in (GOOD, BAD)
    ]
    judges = Miniature().open(tmp_path, seed=0).judges
    first = judges.point.judge(questions)
    assert [verdict.choice for verdict in first if verdict] == ["yes", "no"]
    assert first[1] is not None and "center blue circle extra" in first[1].reason
    assert judges.take_counts() == COUNTS | {"judge/asked": 2}
    assert [path.name for path in tmp_path.glob("*.sqlite")] == ["verdicts.sqlite"]
    again = Miniature().open(tmp_path, seed=0).judges
    assert again.point.judge(questions) == first
    assert again.take_counts() == COUNTS | {"judge/cached": 2}
