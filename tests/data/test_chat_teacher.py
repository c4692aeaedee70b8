"""A teacher behind a real HTTP server: what it is asked, and what becomes of bad answers."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.judge_server import Answer, chat_for, pictures_in, refused_url, serving, words_in

from genagent_data import ChatTeacher, Request
from genagent_data.prompt_files import read_prompt
from genagent_data.synthesis import Call, Failure, Judgement, PartialTrajectory
from genagent_data.synthesis.chat_teacher import read_call, read_judgement, read_teacher_prompts
from genagent_rewards import KeptAnswers, KeptChat, Picture

CATS = Request(id="1", prompt="two cats for $5", hints=("exactly 2 cats", "a price tag"))
CALL = "<thought>Two of them.</thought>\n<prompt>two grey cats, a tag that says 5</prompt>"
RED, BLUE = (Picture.of(Image.new("RGB", (64, 64), color)) for color in ("red", "blue"))
TRIED = PartialTrajectory(
    request=CATS,
    calls=(Call(thinking="t", prompt="first prompt"),),
    pictures=(RED,),
    judgements=(Judgement(words="one cat only", right=False),),
)


def teacher(chat, **more) -> ChatTeacher:
    return ChatTeacher(open=chat, judge=chat, reflect=chat, **more)


def test_each_part_asks_its_own_model_with_what_it_needs():
    with (
        serving(Answer(words=CALL)) as opens,
        serving(Answer(words="<judgement>One cat.</judgement><verdict>Wrong</verdict>")) as judges,
        serving(Answer(words=f"<think>hm <prompt></think>{CALL}")) as reflects,
    ):
        models = ChatTeacher(
            open=chat_for(opens.url),
            judge=chat_for(judges.url),
            reflect=chat_for(reflects.url),
            words=77,
        )
        call = Call(thinking="Two of them.", prompt="two grey cats, a tag that says 5")
        assert models.open([CATS]) == [call]
        assert models.judge([TRIED]) == [Judgement(words="One cat.", right=False)]
        assert models.reflect([TRIED]) == [call]
        shown = PartialTrajectory(
            request=CATS,
            calls=TRIED.calls,
            pictures=TRIED.pictures,
            judgements=TRIED.judgements,
            reference=BLUE,
        )
        assert models.reflect([shown]) == [call]
        asked = words_in(opens.requests[0])
        assert "two cats for $5" in asked and "At most 77 words" in asked
        assert "exactly 2 cats" not in asked
        judged = words_in(judges.requests[0])
        assert "- exactly 2 cats\n- a price tag" in judged and "first prompt" in judged
        assert "2. Count every object" in judged
        assert [p.getpixel((0, 0)) for p in pictures_in(judges.requests[0])] == [(255, 0, 0)]
        hinted, referred = (words_in(body) for body in reflects.requests)
        assert "one cat only" in hinted and "- exactly 2 cats" in hinted
        assert "- exactly 2 cats" not in referred
        assert [p.getpixel((0, 0)) for p in pictures_in(reflects.requests[1])] == [
            (255, 0, 0),
            (0, 0, 255),
        ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(words="Sure! Two grey cats sit on a mat."), "prose"),
        (Answer(words=f"Here you are: {CALL}"), "prose"),
        (Answer(words=CALL.replace("two grey cats, a tag that says 5", " ")), "prose"),
        (Answer(words="I'm sorry, but I can't help with that."), "refusal"),
        (Answer(words=None), "refusal"),
        (Answer(words=CALL[:40], finish="length"), "cut_off"),
        (Answer(words="no such luck", status=500), "silent"),
    ],
)
def test_bad_answers_are_asked_again_and_then_named(answer, why):
    with serving(answer) as server:
        [failure] = teacher(chat_for(server.url)).open([CATS])
        assert len(server.requests) == 3
    assert isinstance(failure, Failure)
    assert failure.why == why and failure.detail


def test_an_answer_that_comes_right_at_last_counts():
    with serving(lambda body, number: Answer(words=CALL if number else "prose")) as server:
        assert isinstance(teacher(chat_for(server.url)).open([CATS])[0], Call)


def test_nobody_there_is_silence():
    [failure] = teacher(chat_for(refused_url())).open([CATS])
    assert isinstance(failure, Failure) and failure.why == "silent"


def test_replies_are_strict():
    assert read_call(CALL) is not None
    for text in (
        CALL[:-1],
        CALL + " ok",
        CALL + CALL,
        CALL.replace("<prompt>", "<prompt>a<prompt>"),
    ):
        assert read_call(text) is None, text
    assert read_call("<thought>\ud800</thought><prompt>p</prompt>") is None
    assert read_judgement("<judgement>j</judgement><verdict>maybe</verdict>") is None
    assert read_judgement("<judgement>j</judgement>\n<verdict> right\n</verdict>") == Judgement(
        words="j", right=True
    )


@pytest.mark.parametrize("words", [CALL, "nothing but prose"])
def test_words_that_were_paid_for_are_kept_good_or_bad(tmp_path: Path, words):
    with serving(Answer(words=words)) as server:
        said = []
        for _ in range(2):
            with KeptAnswers(tmp_path / "kept.sqlite") as kept:
                said.append(teacher(KeptChat(chat_for(server.url), kept)).open([CATS, CATS]))
        assert said[0] == said[1] and said[0][0] == said[0][1]
        assert len(server.requests) == (1 if words == CALL else 3)
        with KeptAnswers(tmp_path / "kept.sqlite") as kept:
            teacher(KeptChat(chat_for(server.url), kept), words=9).open([CATS])
        assert len(server.requests) == (2 if words == CALL else 6)


def test_a_failure_without_words_is_asked_again_the_next_time(tmp_path: Path):
    with KeptAnswers(tmp_path / "kept.sqlite") as kept:
        teacher(KeptChat(chat_for(refused_url()), kept)).open([CATS])
        with serving(Answer(words=CALL)) as server:
            chat = KeptChat(chat_for(server.url), kept)
            assert isinstance(teacher(chat).open([CATS])[0], Call)


def test_words_are_kept_as_each_comes_not_when_all_have_come(tmp_path: Path):
    def script(body, number):
        if "dogs" in words_in(body):
            return Answer(words="no key", status=401)
        return Answer(words=CALL)

    dogs = Request(id="2", prompt="dogs")
    with serving(script) as server, KeptAnswers(tmp_path / "kept.sqlite") as kept:
        chat = KeptChat(chat_for(server.url, max_concurrency=1), kept)
        with pytest.raises(ValueError, match="no endpoint accepts"):
            teacher(chat).open([CATS, dogs])
        assert len(server.requests) == 2
        teacher(chat).open([CATS])
        assert len(server.requests) == 2


def test_in_the_second_round_it_is_asked_about_the_last_picture_and_what_led_to_it():
    again = PartialTrajectory(
        request=CATS,
        calls=(*TRIED.calls, Call(thinking="t", prompt="second prompt")),
        pictures=(RED, BLUE),
        judgements=(*TRIED.judgements, Judgement(words="no price tag", right=False)),
    )
    looked = Answer(words="<judgement>Both.</judgement><verdict>right</verdict>")
    with serving(looked) as judges, serving(Answer(words=CALL)) as reflects:
        judge, reflect = chat_for(judges.url), chat_for(reflects.url)
        models = ChatTeacher(open=judge, judge=judge, reflect=reflect)
        assert models.judge([again]) == [Judgement(words="Both.", right=True)]
        assert len(models.reflect([again])) == 1
        for [body] in (judges.requests, reflects.requests):
            assert [p.getpixel((0, 0)) for p in pictures_in(body)] == [(0, 0, 255)]
            assert "second prompt" in words_in(body) and "first prompt" not in words_in(body)
        [thinking] = reflects.requests
        assert "no price tag" in words_in(thinking) and "one cat only" not in words_in(thinking)


def test_prompt_files_of_ones_own_have_a_version_of_their_own(tmp_path: Path):
    (tmp_path / "open.md").write_text("You write.\n---\n$request in $words words\n")
    own = read_prompt("open", "request", "words", folder=tmp_path)
    assert own.ask(request="a $cat", words="7") == "a $cat in 7 words"
    assert own.system == "You write."
    assert own.version != read_prompt("open", "request", "words").version
    with pytest.raises(ValueError, match=r"open\.md: nothing fills \$words; slots are \$request,"):
        read_prompt("open", "request", folder=tmp_path)
    (tmp_path / "judge.md").write_text("You judge.\n---\n$rules")
    (tmp_path / "rules.md").write_text("1. costs $5")
    judge = read_prompt("judge", folder=tmp_path, rules="rules")
    assert judge.ask() == "1. costs $5"
    (tmp_path / "rules.md").write_text("1. costs $6")
    assert read_prompt("judge", folder=tmp_path, rules="rules").version != judge.version
    (tmp_path / "open.md").write_text("no rule")
    with pytest.raises(ValueError, match=r"open\.md: wants a system message, a line ---"):
        read_prompt("open", folder=tmp_path)


def test_the_name_holds_models_and_versions():
    name = teacher(chat_for("http://127.0.0.1:1/v1")).name
    assert json.dumps(name).count("judge") >= 4
    for prompt in read_teacher_prompts(None):
        assert f"judge {prompt.version}" in name
