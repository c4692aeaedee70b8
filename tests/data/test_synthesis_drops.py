"""Every reason for which a stage drops a request, by one literal case each."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.data.synthesis_cast import (
    CONFIG,
    AlwaysSecond,
    Script,
    ThirdTimeLucky,
    ask,
    call,
    services,
)

from genagent_data import Request, read_records, synthesize
from genagent_data.synthesis import Failure, Judgement

BAD = Judgement(words="looks bad", right=False)
GOOD = Judgement(words="looks good", right=True)

CASES = [
    ("hard", "solved_plainly", ask("a", 250), []),
    ("hard", "tool_failed", Request(id="a", prompt="broken 1"), []),
    ("hard", "no_verdict", Request(id="a", prompt="unjudged 1"), []),
    ("open", "teacher_prose", ask("a"), [Failure(why="prose", detail="well, well")]),
    ("open", "teacher_refusal", ask("a"), [Failure(why="refusal")]),
    ("open", "teacher_cut_off", ask("a"), [Failure(why="cut_off")]),
    ("open", "teacher_silent", ask("a"), [Failure(why="silent")]),
    ("open", "format_no_action", ask("a"), [call(20, "</judge>")]),
    ("open", "format_vision_token", ask("a"), [call(20, "<|image_pad|>")]),
    ("open", "format_two_actions", ask("a"), [call(20, "</think><answer>x</answer>")]),
    ("draw", "tool_failed", ask("a"), [call(20, "broken 20")]),
    ("judge", "teacher_prose", ask("a"), [None, Failure(why="prose")]),
    ("judge", "mentions_rules", ask("a"), [None, replace(BAD, words="By rule 3 it is bad.")]),
    ("judge", "mentions_hint", ask("a"), [None, replace(BAD, words="Not on the checklist.")]),
    ("judge", "format_missing_judgement", ask("a"), [None, replace(BAD, words="bad</think>")]),
    # The verdict against the judge, either way, and against its own words.
    ("judge", "contradiction", ask("a"), [None, GOOD]),
    ("judge", "contradiction", ask("a"), [call(230), BAD]),
    (
        "judge",
        "contradiction",
        ask("a"),
        [None, replace(BAD, words="A red cat. It satisfies the request.")],
    ),
    ("reflect", "teacher_cut_off", ask("a"), [None, None, Failure(why="cut_off")]),
    ("reflect", "mentions_hint", ask("a"), [None, None, call(200, " as in the reference image")]),
    ("reflect", "contradiction", ask("a"), [None, None, call(20)]),
    ("redraw", "tool_failed", ask("a"), [None, None, call(250, " broken 250")]),
    ("redraw", "second_loses", ask("a"), [None, None, call(15)]),
    ("redraw", "second_loses", ask("a"), [call(20, " same 20"), None, call(20, " the same 20")]),
    ("redraw", "no_verdict", Request(id="a", prompt="incomparable 10"), []),
    ("close", "second_fails", ask("a"), [None, None, call(120), GOOD]),
    ("close", "contradiction", ask("a"), [None, None, None, BAD]),
    ("close", "mentions_rules", ask("a"), [None, None, None, replace(GOOD, words="Rule #1: ok")]),
    ("close", "teacher_refusal", ask("a"), [None, None, call(90), BAD, Failure(why="refusal")]),
    ("close", "mentions_hint", ask("a"), [None, None, call(90), BAD, call(91, " the hint")]),
]


@pytest.mark.parametrize(("stage", "reason", "request_", "lines"), CASES)
def test_a_request_is_dropped_there_for_that_reason(tmp_path, stage, reason, request_, lines):
    funnel = synthesize([request_], services(), Script(a=lines), CONFIG, tmp_path)
    dropped = {figures.name: dict(figures.drops) for figures in funnel.stages if figures.drops}
    assert dropped == {stage: {reason: 1}}
    assert funnel.records == 0


@pytest.mark.parametrize(("plain", "drops"), [(2, {}), (3, {"solved_plainly": 1})])
def test_every_plain_picture_has_a_seed_of_its_own_and_must_fail(tmp_path, plain, drops):
    tool, request = ThirdTimeLucky(), ask("a")
    config = replace(CONFIG, plain=plain)
    funnel = synthesize([request], services(tool), Script(), config, tmp_path)
    [hard] = [figures for figures in funnel.stages if figures.name == "hard"]
    assert hard.drops == drops
    seeds = [seed for prompt, seed in tool.drawn if prompt == request.prompt]
    assert len(seeds) == len(set(seeds)) == plain


def test_a_judge_that_prefers_a_place_drops_about_half_of_the_second_pictures(tmp_path):
    requests = [ask(str(number)) for number in range(40)]
    judge = AlwaysSecond()
    funnel = synthesize(requests, services(judge=judge), Script(), CONFIG, tmp_path)
    [redraw] = [figures for figures in funnel.stages if figures.name == "redraw"]
    assert set(redraw.drops) == {"second_loses"}
    # Three standard errors of 40 fair coins are 9.5; what these say follows from the seed.
    assert 10 <= redraw.drops["second_loses"] <= 30


def picture(path: Path, size: tuple[int, int]) -> str:
    Image.new("L", size).save(path)
    return str(path)


def test_a_reference_that_cannot_be_had_is_dropped_before_anything_is_paid(tmp_path):
    (tmp_path / "torn.png").write_bytes(
        Path(picture(tmp_path / "1.png", (90, 90))).read_bytes()[:60]
    )
    (tmp_path / "words.jpg").write_text("not a picture")
    requests = [
        ask("missing", reference=str(tmp_path / "nowhere.png")),
        ask("large", reference=picture(tmp_path / "large.png", (10_000, 10_000))),
        ask("torn", reference=str(tmp_path / "torn.png")),
        ask("words", reference=str(tmp_path / "words.jpg")),
        ask("fine", reference=picture(tmp_path / "fine.png", (2000, 1000))),
    ]
    script, out = Script(), tmp_path / "out"
    funnel = synthesize(requests, services(), script, CONFIG, out)
    intake = funnel.stages[0]
    assert intake.drops == {
        "reference_missing": 1,
        "reference_too_large": 1,
        "reference_unreadable": 2,
    }
    assert "nowhere.png" in intake.details["reference_missing"]
    assert "10000x10000" in intake.details["reference_too_large"]
    assert {asked.split("/")[0] for asked in script.asked} == {"fine"}
    assert funnel.records == 1


def test_what_is_kept_is_the_conversation_as_the_protocol_has_it(tmp_path):
    lines = {
        "one": [call(230)],
        "two": [],
        "open": [None, None, call(90), BAD, call(95)],
    }
    requests = [ask("one"), ask("two"), ask("open")]
    config = replace(CONFIG, unfinished=0.34)
    funnel = synthesize(requests, services(), Script(**lines), config, tmp_path)
    assert dict(funnel.endings) == {"answer_1": 1, "answer_2": 1, "out_of_rounds": 1}
    records = {record.request.id: record for record in read_records(tmp_path)}
    tool = '<tool_call>{{"name": "generate_image", "arguments": {{"prompt": "{}"}}}}</tool_call>'
    first = "<think>think</think>" + tool.format("drawn with quality 20")
    again = "<judge>looks bad</judge><think>think</think>" + tool
    assert records["one"].turns[1] == "<judge>looks good</judge><answer>done</answer>"
    assert records["two"].turns == (
        first,
        again.format("drawn with quality 201"),
        "<judge>looks good</judge><answer>done</answer>",
    )
    assert records["open"].turns == (
        first,
        again.format("drawn with quality 90"),
        again.format("drawn with quality 95"),
    )
    for id, pictures in (("one", 1), ("two", 2), ("open", 2)):
        assert len(records[id].pictures) == pictures
