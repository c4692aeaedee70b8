"""Teachers by their options: one model for all parts, or one for each."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.judge_server import Answer, refused_url, serving

from genagent_data import Request
from genagent_data.synthesis import Call
from genagent_worlds import ChatTeachers, TeacherEndpoints

CALL = "<thought>t</thought><prompt>p</prompt>"


def test_a_part_is_the_first_one_in_all_that_is_left_out():
    teachers = ChatTeachers(
        open=TeacherEndpoints(urls="http://a/v1", model="qwen", tokens=99),
        judge=TeacherEndpoints(urls="http://b/v1, http://c/v1", model="gemini", token_env="KEY"),
    )
    assert teachers.part("reflect") == teachers.open
    judge = teachers.part("judge").chat()
    assert judge.base_urls == ("http://b/v1", "http://c/v1")
    assert (judge.model, judge.api_key_env, judge.max_tokens) == ("gemini", "KEY", 99)


def test_further_fields_go_with_each_question_and_tell_replies_apart():
    thinks = ChatTeachers(open=TeacherEndpoints(urls="http://a/v1", model="qwen"))
    body = '{"chat_template_kwargs": {"enable_thinking": false}}'
    open_ = TeacherEndpoints(urls="http://a/v1", model="qwen", body=body)
    config = ChatTeachers(open=open_).part("reflect").chat()
    assert config.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert config.name != thinks.part("reflect").chat().name
    # Another vendor refuses fields that it does not know.
    elsewhere = ChatTeachers(open=open_, judge=TeacherEndpoints(urls="http://b/v1"))
    assert elsewhere.part("judge").chat().extra_body == {}
    wrong = ChatTeachers(open=TeacherEndpoints(urls="http://a/v1", model="qwen", body="[1]"))
    assert wrong.problems()[0] == "--teacher.open: body is '[1]'; wants a JSON object"


def test_what_is_missing_or_down_is_a_line_with_its_option():
    assert [line.split(":")[0] for line in ChatTeachers().problems()] == [
        "--teacher.open.urls is missing",
        "--teacher.open.model is missing",
    ]
    with serving(Answer(words="yes")) as server:
        up = TeacherEndpoints(urls=server.url, model="qwen")
        assert ChatTeachers(open=up).problems() == []
        down = TeacherEndpoints(urls=refused_url())
        [line] = ChatTeachers(open=up, reflect=down).problems()
    assert "--teacher.reflect.urls" in line and "does not answer for model 'qwen'" in line
    [line] = ChatTeachers(open=TeacherEndpoints(urls="http://a", model="m")).problems()[:1]
    assert line.startswith("--teacher.open: base_urls has 'http://a', which has no path")


def test_prompts_of_ones_own_are_read_before_anything_is_paid_for(tmp_path: Path):
    with serving(Answer(words="yes")) as server:
        teachers = ChatTeachers(
            open=TeacherEndpoints(urls=server.url, model="qwen"), prompts=tmp_path
        )
        [line] = teachers.problems()
        assert line.startswith("--teacher.prompts: ") and "open.md" in line
        for name, slots in {
            "open": "$request",
            "rules": "costs $5",
            "judge": "$checklist $rules",
            "reflect": "$judgement $hints",
        }.items():
            (tmp_path / f"{name}.md").write_text(f"You help.\n---\n{slots}")
        [line] = teachers.problems()
        assert "reflect.md: nothing fills $hints; slots are $request, $prompt, $judg" in line
        (tmp_path / "reflect.md").write_text("You help.\n---\n$judgement $hint, $$5")
        assert teachers.problems() == []


@pytest.mark.parametrize("tokens", [8192, 100])
def test_its_words_are_kept_in_the_folder_of_the_work(tmp_path: Path, tokens):
    with serving(Answer(words=CALL)) as server:
        config = ChatTeachers(open=TeacherEndpoints(urls=server.url, model="qwen", tokens=tokens))
        for _ in range(2):
            teacher = config.load(tmp_path, words=20)
            assert teacher.open([Request(id="1", prompt="a cat")]) == [
                Call(thinking="t", prompt="p")
            ]
        assert len(server.requests) == 1
        assert server.requests[0]["max_tokens"] == tokens


def test_a_key_goes_to_its_own_endpoints_alone(monkeypatch: pytest.MonkeyPatch):
    opens = TeacherEndpoints(urls="https://a/v1", model="qwen", token_env="MINE")
    elsewhere = TeacherEndpoints(urls="https://b/v1")
    teachers = ChatTeachers(open=opens, judge=elsewhere, reflect=TeacherEndpoints(model="other"))
    assert teachers.part("judge").chat().api_key_env == "OPENAI_API_KEY"
    assert teachers.part("reflect").chat().api_key_env == "MINE"
    same = replace(teachers, judge=replace(elsewhere, urls=opens.urls, model="other"))
    assert same.part("judge").chat().api_key_env == "MINE"
