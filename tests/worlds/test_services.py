"""What keeps a world of files and endpoints from working is said before anything is at stake: a
line for each thing, with the option that mends it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.judge_server import YES, Answer, JudgeServer, pictures_in, refused_url, serving
from tests.picture_server import PictureServer, answering

from genagent_worlds import FilesAndEndpoints

TRAIN_MISSING, HELD_OUT_MISSING = (
    f"--world.{name} is missing: give a file of requests (.jsonl, .json, or one prompt a line), or "
    "module:callable"
    for name in ("train", "held-out")
)
TOOL_MISSING = (
    "--world.tool is missing: give image servers (http://host:8000, which `genagent-tools serve` "
    "starts), a profile of `genagent-tools profiles`, or module:callable"
)
JUDGE_MISSING = (
    "--world.judge is missing: give OpenAI-compatible endpoints (http://host:8000/v1), a model "
    "folder, or module:callable"
)


@pytest.fixture(scope="module")
def images() -> Iterator[PictureServer]:
    with answering() as server:
        yield server


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeServer]:
    with serving(YES) as server:
        yield server


@pytest.fixture
def good(images: PictureServer, judge: JudgeServer, tmp_path: Path) -> FilesAndEndpoints:
    """A configuration without a problem."""
    (tmp_path / "train.txt").write_text("a cat\na dog\n")
    (tmp_path / "held.txt").write_text("a bird\n")
    return FilesAndEndpoints(
        train=tmp_path / "train.txt",
        held_out=tmp_path / "held.txt",
        tool=images.url,
        judge=judge.url,
        judge_model="eyes",
    )


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "NUMBER = 3\nNothing = object\ndef three():\n    return 3\n"
    source += "def fails():\n    return {}['x']\ndef asks(url): ...\n"
    source += "class Eye:\n    def judge(self, q): ...\n    def compare(self, q): ...\n"
    (tmp_path / "odd_services.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)


def line(config: FilesAndEndpoints, **changes: Any) -> str:
    """The one problem that a change makes."""
    [problem] = replace(config, **changes).problems()
    return problem


def test_where_nothing_is_given_each_thing_is_asked_for_once():
    assert FilesAndEndpoints().problems() == [
        TRAIN_MISSING,
        HELD_OUT_MISSING,
        TOOL_MISSING,
        JUDGE_MISSING,
    ]


def test_each_thing_that_is_not_given_is_asked_for(good):
    assert good.problems() == []
    assert line(good, train=None) == TRAIN_MISSING
    assert line(good, held_out=None) == HELD_OUT_MISSING
    assert line(good, tool="") == TOOL_MISSING
    assert line(good, judge="") == JUDGE_MISSING


@pytest.mark.parametrize("option", ["train", "held_out"])
def test_a_file_that_cannot_be_used_is_named(good, tmp_path, option):
    missing, broken, empty = (tmp_path / name for name in ("no.jsonl", "broken.jsonl", "empty.txt"))
    broken.write_text('{"prompt": "a cat"}\n{"prompt": 3}\n')
    empty.write_text("\n\n")
    found = line(good, **{option: missing})
    why = "No such file or directory; wants a file of requests, or module:callable"
    assert found == f"--world.{option.replace('_', '-')} is {missing}: {why}"
    assert str(tmp_path) in line(good, **{option: tmp_path})  # a folder
    assert line(good, **{option: broken}).startswith(f'{broken}:2: wants an object with a text "pr')
    assert line(good, **{option: empty}) == (
        f"{empty}: holds no request; write at least one prompt"
    )


def test_who_only_draws_is_asked_for_a_tool_alone(images):
    asked = len(images.requests)
    assert FilesAndEndpoints(tool=images.url).tool_problems() == []
    assert len(images.requests) == asked + 1
    assert FilesAndEndpoints().tool_problems() == [TOOL_MISSING]
    url = refused_url()
    [line] = FilesAndEndpoints(tool=url).tool_problems()
    assert line.startswith(f"the image server {url} does not draw; start it, or check --world.tool")


def test_a_name_that_is_no_tool_is_held_against_the_profiles(good):
    found = line(good, tool="dall-e")
    assert found.startswith("no tool 'dall-e'; give a URL, module:callable or one of flux-8step, ")
    assert "z-image-turbo" in found


def test_an_image_server_that_does_not_answer_is_named_with_the_remedy(good, images):
    dead = refused_url().removesuffix("/v1")
    found = line(good, tool=dead)
    assert found.startswith(
        f"the image server {dead} does not draw; start it, or check --world.tool, "
        "--world.tool-model and --world.tool-token-env (http://"
    )
    # Also where another one does.
    assert f"the image server {dead} does not draw" in line(good, tool=f"{images.url},{dead}")


def test_an_image_server_that_wants_a_token_is_named_with_the_remedy(good):
    with answering(token="another") as closed:
        found = line(good, tool=closed.url)
        assert found.startswith(f"the image server {closed.url} does not draw; start it, or check ")
        # The option comes before the name that the tool has for it.
        assert found.index("--world.tool-token-env") < found.index("401 who are you")
        assert found.index("401 who are you") < found.index("api_key_env")
        assert len(closed.requests) == 1


def test_a_token_that_is_not_there_is_named(good, monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    assert line(good, tool_token_env="NO_SUCH_TOKEN") == (
        "the environment variable NO_SUCH_TOKEN is not set; put the token in it"
    )


def test_servers_that_cannot_be_are_named(good):
    assert "base_urls has 'http://', which cannot be used" in line(good, tool="http://")
    assert "max_concurrency is 0" in line(good, tool_concurrency=0)
    assert "'http://'" in line(good, judge="http://")
    assert "max_tokens is 0" in line(good, judge_tokens=0)


def test_a_judge_without_a_models_name_is_asked_for_it(good, judge):
    assert line(good, judge_model="") == (
        f"--world.judge-model is missing: the name by which {judge.url} knows the judge"
    )


def test_a_judge_that_does_not_answer_is_named_with_the_remedy(good, judge):
    dead = refused_url()
    for urls in (dead, f"{judge.url}, {dead}"):
        found = line(good, judge=urls)
        assert found.startswith(f"{dead} does not answer for model 'eyes'")
        assert "; start it" in found and "whether it wants a key" in found


def test_a_key_that_nobody_names_goes_to_no_address_in_the_clear(good, judge, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    judge.keys.clear()
    assert list(good.problems()) == []
    assert set(judge.keys) == {None}
    endpoints = "https://api.example.com/v1, https://other.example.com/v1"
    assert replace(good, judge=endpoints).judge_endpoints().api_key_env == "OPENAI_API_KEY"
    mixed = f"{endpoints}, http://gpu3:8001/v1"
    assert replace(good, judge=mixed).judge_endpoints().api_key_env is None
    named = replace(good, judge=mixed, judge_key_env="JUDGE_KEY").judge_endpoints()
    assert named.api_key_env == "JUDGE_KEY"


def test_a_picture_may_wait_for_long_in_the_servers_queue(good):
    assert good.image_servers().timeout_seconds == 1800
    servers = replace(good, tool_seconds=60.0).image_servers()
    assert (servers.timeout_seconds, servers.deadline_seconds) == (60, 240)
    assert "timeout_seconds is 0" in line(good, tool_seconds=0.0)


def test_what_generate_is_told_draws_with_the_same_tool(good):
    told = replace(good, tool="http://gpu1:8000", tool_token_env="TOKEN", tool_words=40)
    assert told.asking == (
        *("flux-7b", "--world.tool", "http://gpu1:8000"),
        *("--world.tool-words", "40", "--world.tool-token-env", "TOKEN"),
    )


def test_a_judge_that_cannot_see_is_found_out_with_a_picture(good):
    def blind(body: dict[str, Any], number: int) -> Answer:
        if pictures_in(body):
            return Answer(status=400, words="this model takes no pictures")
        return YES

    with serving(blind) as server:
        found = line(good, judge=server.url)
        assert found.startswith(f"{server.url} does not answer for model 'eyes'")
        assert "this model takes no pictures" in found


def test_a_judge_that_rejects_the_key_names_its_variable(good):
    with serving(Answer(status=401, words="wrong key")) as server:
        found = line(good, judge=server.url, judge_key_env="JUDGE_KEY")
        assert "wrong key" in found and "JUDGE_KEY" in found


def test_a_folder_without_a_model_is_no_judge(good, tmp_path):
    (tmp_path / "folder").mkdir()
    for name in (str(tmp_path / "folder"), "no/such/folder", "Qwen/Qwen3-VL-30B"):
        found = line(good, judge=name)
        assert found == f"no judge {name!r}; give a URL, a model folder or module:callable"


@pytest.mark.parametrize("option", ["tool", "judge"])
def test_own_code_that_is_not_there_or_cannot_be_called_is_named(good, own_code, option):
    assert line(good, **{option: "no_such_module:thing"}) == (
        "no_such_module:thing cannot be imported (No module named 'no_such_module'); "
        "check PYTHONPATH"
    )
    for name, hint in {"quite_other": "", "NUMBERS": "; it has NUMBER"}.items():
        found = line(good, **{option: f"odd_services:{name}"})
        assert found == f"odd_services:{name}: odd_services has no {name}{hint}"
    assert line(good, **{option: "odd_services:NUMBER"}) == (
        "odd_services:NUMBER is a int; wants something to call"
    )


def test_own_code_that_gives_something_else_is_refused_when_it_is_opened(good, own_code, tmp_path):
    config = replace(good, tool="odd_services:three", judge="odd_services:three")
    assert config.problems() == []
    with pytest.raises(
        ValueError, match="tool odd_services:three gives a int, which has no method"
    ):
        config.open(tmp_path, seed=0)
    with pytest.raises(ValueError) as refused:
        config.open_judges(cache=tmp_path / "verdicts.sqlite")
    assert str(refused.value) == (
        "judge odd_services:three gives a int, which has no method judge and no method compare"
    )


def test_a_class_without_the_methods_is_refused_before_it_is_called(good, own_code):
    assert line(good, tool="odd_services:Nothing") == (
        "tool odd_services:Nothing gives a object, which has no method generate"
    )


def test_own_code_that_raises_is_named_with_the_place(good, own_code, tmp_path):
    config = replace(good, tool="odd_services:fails")
    assert config.problems() == []
    with pytest.raises(ValueError, match=r"^odd_services:fails raised KeyError: 'x', at .*py:6$"):
        config.open_tool()
    (tmp_path / "raising_services.py").write_text("\n1 / 0\n")
    found = line(good, tool="raising_services:Tool")
    assert found.startswith(
        "raising_services:Tool cannot be imported (ZeroDivisionError: division by zero, at "
    )
    assert found.endswith("raising_services.py:2)")


def test_own_code_that_wants_arguments_is_refused_before_it_is_called(good, own_code):
    assert line(good, judge="odd_services:asks").startswith(
        "odd_services:asks is called without arguments, and takes others (missing a required"
    )


def test_a_judge_of_two_methods_is_both_judges(good, own_code, tmp_path):
    judges = replace(good, judge="odd_services:Eye").open_judges(cache=tmp_path / "v.sqlite")
    assert judges.point is judges.pair and not judges.at_once


def test_own_code_is_found_in_the_working_directory(good, tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("class Tool:\n    def generate(self, p, s): ...\n")
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    assert replace(good, tool="beside:Tool").problems() == []


def test_a_device_that_does_not_exist_is_named_with_its_option(good, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for option, service in (("tool", "flux-8step"), ("judge", str(tmp_path))):
        named = {option: service}
        assert replace(good, **named, **{f"{option}_device": "cpu"}).problems() == []
        found = line(good, **named, **{f"{option}_device": "cuda:99"})
        assert found.startswith(f"--world.{option}-device is 'cuda:99'; this machine has ")
        assert found.endswith(" cuda devices, give another, or cpu")
        assert line(good, **named, **{f"{option}_device": "gpu"}) == (
            f"--world.{option}-device is 'gpu'; give cpu, cuda or cuda:1"
        )


def test_devices_do_not_matter_to_servers(good):
    assert replace(good, tool_device="gpu", judge_device="cuda:99").problems() == []


def test_all_problems_are_named_at_once(tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    dead_tool, dead_judge = refused_url().removesuffix("/v1"), refused_url()
    lines = FilesAndEndpoints(
        train=tmp_path / "no.jsonl",
        held_out=broken,
        tool=dead_tool,
        judge=dead_judge,
        judge_model="eyes",
    ).problems()
    named = [str(tmp_path / "no.jsonl"), f"{broken}:1: not JSON", dead_tool, dead_judge]
    assert len(lines) == 4
    assert all(name in found for name, found in zip(named, lines, strict=True))


def test_a_problem_is_one_line_whatever_a_server_says(good):
    with serving(
        Answer(status=400, words="1 validation error:\n  the model takes no picture")
    ) as one:
        assert "\n" not in line(good, judge=one.url)


def test_a_judge_that_thinks_has_time_and_is_told_how(good):
    body = '{"chat_template_kwargs": {"enable_thinking": false}}'
    asked = replace(good, judge_seconds=900.0, judge_body=body).judge_endpoints()
    assert (asked.timeout_seconds, asked.deadline_seconds) == (900.0, 4500.0)
    assert asked.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert good.judge_endpoints().extra_body == {}
    for wrong in ("{", "[1]"):
        assert line(good, judge_body=wrong) == f"judge_body is {wrong!r}; wants a JSON object"
    assert line(good, judge_seconds=0.0).startswith("timeout_seconds is 0.0")
