"""A plan of a synthesis: how far requests come, what that asks of whom, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from genagent_data import Funnel, StageFigures
from genagent_planning import (
    MINIATURE_SYNTHESIS,
    SynthesisPlanConfig,
    counted_shares,
    plan_synthesis,
    synthesis_traffic,
)

GIVEN = SynthesisPlanConfig(
    hard=0.125,
    written=0.8,
    agreed=0.5,
    first_right=0.25,
    improved=0.5,
    second_right=0.75,
    balanced=0.5,
    references=0.1,
)
FUNNEL = Funnel(
    stages=(
        StageFigures(name="requests", kept=8000),
        StageFigures(name="hard", kept=1000, drops={"solved_plainly": 7000}),
        StageFigures(name="open", kept=900, drops={"teacher_prose": 100}, calls={"teacher": 1000}),
        StageFigures(name="draw", kept=800, drops={"tool_failed": 100}),
        StageFigures(name="judge", kept=400, drops={"contradiction": 400}, calls={"teacher": 800}),
        StageFigures(name="reflect", kept=340, drops={"mentions_hint": 60}, calls={"teacher": 300}),
        StageFigures(name="redraw", kept=220, drops={"second_loses": 120}),
        StageFigures(name="close", kept=160, drops={"second_fails": 60}, calls={"teacher": 150}),
        StageFigures(name="balance", kept=80, drops={"surplus_task": 80}),
    )
)


def plan(*words: str, **changes) -> None:
    settings = {
        "requests": 8000,
        "plain": 3,
        "teacher_concurrency": 32,
        "judge_concurrency": 16,
        "counted": None,
        "default": GIVEN,
    }
    plan_synthesis(list(words), **(settings | changes))


def rows_of(shown: str) -> set[tuple[str, ...]]:
    return {tuple(line.split()) for line in shown.splitlines()}


def test_requests_come_as_far_as_the_shares_say():
    found = synthesis_traffic(8000, plain=3, given=GIVEN)
    assert [(stage.name, stage.coming, stage.kept) for stage in found.stages] == [
        ("hard", 8000, 1000),
        ("open", 1000, 800),
        ("draw", 800, 800),
        ("judge", 800, 400),
        ("reflect", 400, 340),
        ("redraw", 340, 220),
        ("close", 220, 160),
        ("balance", 160, 80),
    ]
    assert [stage.tool for stage in found.stages] == [14_000, 0, 800, 0, 0, 240, 0, 0]
    assert [stage.teacher for stage in found.stages] == [0, 1000, 0, 800, 300, 0, 150, 0]
    assert [stage.judge for stage in found.stages] == [14_000, 0, 0, 800, 0, 240, 120, 0]
    assert [(one.kind, one.pictures, one.asked) for one in found.teacher] == [
        ("open", 0, 1000),
        ("judge", 1, 920),
        ("reflect", 1, 297),
        ("reflect", 2, 33),
    ]
    assert [(one.kind, one.pictures, one.asked) for one in found.judge] == [
        ("point", 1, 14_920),
        ("pair", 2, 240),
    ]
    assert (found.records, found.pictures, found.record_pictures) == (80, 15_040, 110)
    assert synthesis_traffic(8000, plain=1, given=GIVEN).pictures == 8000 + 800 + 240


def test_the_counts_of_a_synthesis_are_its_shares():
    assert replace(GIVEN, **counted_shares(FUNNEL)) == GIVEN
    solved = tuple(
        StageFigures(name=stage.name, drops={"solved_plainly": 9} if stage.name == "hard" else {})
        for stage in FUNNEL.stages
    )
    assert counted_shares(Funnel(stages=solved)) == {"hard": 0.0}


def test_by_default_it_comes_to_what_the_miniature_was_counted_to():
    found = synthesis_traffic(10_000, plain=3, given=MINIATURE_SYNTHESIS)
    assert found.records == pytest.approx(3_538, rel=0.01)
    assert sum(one.asked for one in found.teacher) == pytest.approx(14_000, rel=0.01)
    assert 29_900 < found.pictures < 1.05 * 29_900
    assert 31_800 < sum(one.asked for one in found.judge) < 1.05 * 31_800


def test_a_plan_shows_calls_tokens_hours_and_disk(capsys):
    plan()
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.startswith("8,000 requests come to 80 records\n")
    rows = rows_of(shown)
    assert ("all", "8,000", "80", "2,250", "15,040", "15,160") in rows
    assert ("open,", "words", "alone", "1,000", "400,000", "2,000,000") in rows
    assert ("reflect,", "two", "pictures", "33", "80,784", "66,000") in rows
    assert ("point,", "one", "picture", "14,920", "21,246,080", "4,476,000") in rows
    assert ("pair,", "two", "pictures", "240", "587,520", "72,000") in rows
    # 15,040 pictures of 2.2 s, 2,250 replies of a minute by 32, 15,160 verdicts of 5 s by 16.
    assert {("tool", "9.19"), ("teacher", "1.17"), ("judge", "1.32")} <= rows
    assert ("pictures", "22.03") in rows
    assert ("those", "of", "the", "records", "once", "more", "0.16") in rows
    assert "--plan.reply-tokens 2000" in shown and "counted in" not in shown


def test_records_that_are_wanted_say_how_many_requests_that_takes(capsys):
    plan("--records", "800", "--balanced", "0.6", requests=Path("missing.jsonl"))
    assert "800 records want 66,667 requests\n" in capsys.readouterr().out
    plan("--records", "800", "--balanced", "0.7")
    assert "800 records want 57,143 requests; there are 8,000\n" in capsys.readouterr().out


def test_what_was_counted_stands_in_place_of_what_is_assumed_and_a_word_of_both(capsys):
    plan("--improved", "0.9", counted=FUNNEL, default=SynthesisPlanConfig())
    counted, _, assumed = (
        capsys.readouterr()
        .out.partition("counted in --out, of 8,000 requests:")[2]
        .partition("taken for granted")
    )
    assert "--plan.hard 0.125" in counted and "--plan.second-right 0.75" in counted
    assert "--plan.improved 0.9" in assumed and "improved" not in counted


def test_a_teacher_that_is_no_model_and_a_judge_in_this_process_count_no_tokens(capsys):
    plan(teacher_concurrency=None, judge_concurrency=None, default=MINIATURE_SYNTHESIS)
    shown = capsys.readouterr().out
    assert "tokens" not in shown and "reply" not in shown and "one after another" in shown


def test_what_cannot_be_planned_is_one_line():
    with pytest.raises(ValueError, match=r"^missing\.jsonl is not there; .*--plan\.records 3500"):
        plan(requests=Path("missing.jsonl"))
    with pytest.raises(ValueError, match="no request becomes a record by these shares"):
        plan("--records", "10", "--hard", "0")
    with pytest.raises(ValueError, match=r"hard is 1\.5; wants a share, 0 to 1"):
        SynthesisPlanConfig(hard=1.5)
    with pytest.raises(ValueError, match=r"image_gpus is 0; wants more than 0"):
        SynthesisPlanConfig(image_gpus=0)
    with pytest.raises(ValueError, match=r"records is -1; wants 0 or more"):
        SynthesisPlanConfig(records=-1)
