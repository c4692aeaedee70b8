"""How many words a world says that its tool reads: by option, by profile, by its servers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.judge_server import refused_url
from tests.picture_server import answering
from tests.worlds.builders import NeverAsked

import genagent_worlds.services
from genagent_tools import ToolProfile
from genagent_worlds import FilesAndEndpoints, Judges, World

OWN_JUDGE = """
from genagent_worlds import Judges
from tests.worlds.builders import NeverAsked

def judges():
    return Judges(point=NeverAsked(), pair=NeverAsked())
"""


class Loaded:
    """A tool of a profile, as one in this process is."""

    profile = ToolProfile(
        name="some",
        pipeline="FluxPipeline",
        repository="some/where",
        steps=4,
        guidance_scale=3.5,
        words=350,
    )

    def generate(self, prompts: Any, seeds: Any) -> list[Any]:
        raise AssertionError("nobody draws")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilesAndEndpoints:
    for name in ("train", "held"):
        (tmp_path / f"{name}.txt").write_text("a cat\n")
    (tmp_path / "words_judge.py").write_text(OWN_JUDGE)
    monkeypatch.syspath_prepend(tmp_path)
    return FilesAndEndpoints(
        train=tmp_path / "train.txt",
        held_out=tmp_path / "held.txt",
        judge="words_judge:judges",
    )


def words(config: FilesAndEndpoints, folder: Path, **changes: Any) -> int | None:
    return replace(config, **changes).open(folder, seed=0).words


def test_a_world_says_nothing_unless_it_is_told():
    judges = Judges(point=NeverAsked(), pair=NeverAsked())
    assert World(train=None, held_out=(), tool=Loaded(), judges=judges).words is None  # pyright: ignore[reportArgumentType]


def test_a_server_is_asked_for_the_model_that_draws(config, tmp_path):
    models = [{"id": "small", "words": 60}, {"id": "large", "words": 350}]
    with answering(models=models) as server:
        assert words(config, tmp_path, tool=server.url) == 60
        assert words(config, tmp_path, tool=server.url, tool_model="large") == 350
        assert words(config, tmp_path, tool=server.url, tool_model="other") is None
        assert set(server.paths) == {"/v1/models"}


def test_of_several_servers_the_least_counts(config, tmp_path):
    with (
        answering(models=[{"id": "a", "words": 60}]) as one,
        answering(models=[{"id": "a", "words": 50}]) as two,
    ):
        assert words(config, tmp_path, tool=f"{one.url}, {two.url}/v1") == 50


def test_servers_that_do_not_say_are_taken_as_they_are(config, tmp_path):
    with answering(models=[{"id": "a"}]) as silent, answering() as without_a_list:
        assert words(config, tmp_path, tool=silent.url) is None
        assert words(config, tmp_path, tool=without_a_list.url) is None
    with answering(models=[{"id": "a", "words": 60}]) as server:
        assert words(config, tmp_path, tool=server.url, tool_dialect="sglang") is None
        assert server.paths == []


def test_the_option_goes_before_whatever_is_said(config, tmp_path):
    with answering(models=[{"id": "a", "words": 60}]) as server:
        assert words(config, tmp_path, tool=server.url, tool_words=12) == 12
        assert words(config, tmp_path, tool=server.url, tool_words=12, tool_dialect="openai") == 12
        assert server.paths == []


def test_a_server_that_is_gone_by_then_is_named_with_the_remedy(config, tmp_path):
    dead = refused_url().removesuffix("/v1")
    with pytest.raises(ValueError) as raised:
        words(config, tmp_path, tool=dead)
    assert str(raised.value).startswith(
        f"the image server does not say how many words it reads ({dead}: ClientConnectorError"
    )
    assert str(raised.value).endswith("; start it, or give --world.tool-words")
    assert words(config, tmp_path, tool=dead, tool_words=12) == 12


def test_a_tool_in_this_process_reads_what_its_profile_says(config, tmp_path, monkeypatch):
    monkeypatch.setattr(genagent_worlds.services, "load_tools", lambda *arguments: [Loaded()])
    assert words(config, tmp_path, tool="flux-8step") == 350
    assert words(config, tmp_path, tool="flux-8step", tool_words=40) == 40


def test_own_code_says_nothing_but_with_a_profile(config, tmp_path):
    source = (
        "from tests.worlds.test_words import Loaded\n"
        "class Plain:\n    def generate(self, prompts, seeds): return []\n"
    )
    (tmp_path / "words_tools.py").write_text(source)
    assert words(config, tmp_path, tool="words_tools:Plain") is None
    assert words(config, tmp_path, tool="words_tools:Loaded") == 350


@pytest.mark.parametrize("number", [0, -3])
def test_no_words_are_no_limit(config, number):
    with answering() as server:
        assert replace(config, tool=server.url, tool_words=number).problems() == [
            f"--world.tool-words is {number}; wants 1 or more"
        ]
