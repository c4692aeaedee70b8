"""Requests of one's own are read as those of a file are, and refused in a line each."""

from dataclasses import replace
from pathlib import Path

import pytest

from genagent_data import Request
from genagent_worlds import FilesAndEndpoints
from genagent_worlds.own_requests import requests_from

SOURCE = """
from genagent_data import Request
def some(): return ["a cat", Request(id="dog", prompt="a dog", hints=("1 dog",))]
def drawn(): yield "a bird"
def none(): return []
def text(): return "a cat"
def number(): return 3
def mixed(): return ["a cat", 3]
def blank(): return [" "]
def twice(): return [Request(id="dog", prompt=prompt) for prompt in ("a", "b")]
def fails(): return {}["x"]
"""


@pytest.fixture(autouse=True)
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_asked.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)


def test_texts_are_named_after_code_and_place_and_requests_stay_as_they_are():
    assert requests_from(Path("own_asked:some")) == [
        Request(id="own_asked:some-1", prompt="a cat"),
        Request(id="dog", prompt="a dog", hints=("1 dog",)),
    ]
    [bird] = requests_from(Path("own_asked:drawn"))
    assert bird.prompt == "a bird"


def test_a_world_asks_its_own_requests(tmp_path):
    config = FilesAndEndpoints(
        train=Path("own_asked:some"),
        held_out=Path("own_asked:drawn"),
        tool="examples.your_world:Painter",
        judge="examples.your_world:Eye",
    )
    assert config.problems() == []
    world = config.open(tmp_path, seed=0)
    assert {request.prompt for request in world.train.sample(2, seed=0)} == {"a cat", "a dog"}
    assert [request.prompt for request in world.held_out] == ["a bird"]
    # What is wrong with them is one of the world's problems, all of which are said at once.
    bad = replace(config, train=Path("own_asked:none"), held_out=Path("no_such_code:asked"))
    assert bad.problems() == [
        "own_asked:none: holds no request; give at least one prompt",
        "no_such_code:asked cannot be imported (No module named 'no_such_code'); check PYTHONPATH",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text", "own_asked:text gives a str; wants a list of requests"),
        ("number", "own_asked:number gives a int; wants a list of requests"),
        ("mixed", "own_asked:mixed-2 is a int; wants a text, or a genagent_data.Request"),
        ("blank", "request 'own_asked:blank-1' has an empty prompt"),
        ("twice", "own_asked:twice: id 'dog' is taken; give each request its own"),
    ],
)
def test_what_are_no_requests_is_named(name, said):
    with pytest.raises(ValueError) as refused:
        requests_from(Path(f"own_asked:{name}"))
    assert str(refused.value) == said


def test_code_that_raises_is_named_with_the_place():
    with pytest.raises(ValueError, match=r"^own_asked:fails raised KeyError: 'x', at .*py:11$"):
        requests_from(Path("own_asked:fails"))
