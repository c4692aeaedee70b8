"""How long a prompt a tool reads: from its profile over the server to the client."""

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http_server import Answer, dead_url
from tests.picture_server import answering, tool_for
from tests.tools.painting import SERVED, TOKEN, Painter, serving

from genagent_tools import PROFILES, ServedModel, ToolError
from genagent_tools.http_dialects import words_read
from genagent_tools.loading import Overrides


def told(words: int | None, name: str = "painter") -> ServedModel:
    """A model that reads so many words."""
    return ServedModel(name=name, width=16, height=16, words=words)


def test_a_served_profile_says_its_words_and_the_description_says_so():
    profile = PROFILES["flux-schnell"]
    with serving(Painter(), ServedModel.from_profile(profile)) as url:
        [model] = httpx.get(url + "/v1/models").json()["data"]
        described = httpx.get(url + "/openapi.json").json()["paths"]["/v1/models"]["get"]
        with tool_for(url) as tool:
            assert tool.words() == model["words"] == profile.words == 180
    assert "``words``" in described["description"]


def test_a_model_whose_words_nobody_knows_says_null():
    with serving(Painter(), SERVED) as url, tool_for(url) as tool:
        assert httpx.get(url + "/v1/models").json()["data"][0]["words"] is None
        assert tool.words() is None


def test_of_several_servers_the_one_that_reads_least_decides():
    with (
        serving(Painter(), told(30)) as one,
        serving(Painter(), told(20)) as two,
        serving(Painter(), told(None)) as silent,
        tool_for(one, two, silent) as tool,
    ):
        assert tool.words() == 20


def test_servers_of_another_dialect_are_not_asked():
    with serving(Painter(), told(30)) as url, tool_for(url, dialect="vllm-omni") as tool:
        assert tool.words() is None


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_list_of_models_says_nothing(status, monkeypatch):
    with answering() as server, tool_for(server) as tool:
        answer = Answer(status=status, body=b"what?")
        monkeypatch.setattr(server.RequestHandlerClass, "do_GET", lambda self: self._send(answer))
        assert tool.words() is None


def test_a_server_that_fails_or_wants_a_token_is_no_server_that_says_nothing(monkeypatch):
    with tool_for(dead_url()) as tool, pytest.raises(ToolError, match="Cannot connect"):
        tool.words()
    with answering() as server, tool_for(server) as tool:
        answer = Answer(status=500, body=b"oh")
        monkeypatch.setattr(server.RequestHandlerClass, "do_GET", lambda self: self._send(answer))
        with pytest.raises(ToolError, match="500 oh"):
            tool.words()
    monkeypatch.setenv("TOOL_KEY", TOKEN)
    with serving(Painter(), told(30), token=TOKEN) as url:
        with tool_for(url) as tool, pytest.raises(ToolError, match="401 "):
            tool.words()
        with tool_for(url, api_key_env="TOOL_KEY") as tool:
            assert tool.words() == 30
    with pytest.raises(ValueError, match="the client is closed"):
        tool.words()


ENTRIES = [{"id": "a", "words": 7}, "odd", {"id": "b", "words": 9}, {"id": "c"}]


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        (ENTRIES, None, 7),
        (ENTRIES, "b", 9),
        (ENTRIES, "c", None),
        (ENTRIES, "d", None),
        ([], None, None),
        *(([{"id": "a", "words": odd}], "a", None) for odd in (0, -1, 7.5, "7", True, None, [7])),
        ("abc", None, None),
        (None, None, None),
    ],
)
def test_words_are_those_of_the_model_that_is_asked_and_a_whole_number(data, model, words):
    assert words_read({"data": data}, model) == words


@pytest.mark.parametrize("answer", [[], {}, {"data": 3}, {"data": None}, None, "data", 3])
def test_an_answer_that_is_no_list_of_models_says_nothing(answer):
    assert words_read(answer, None) is None


@given(st.sampled_from(sorted(PROFILES)), st.integers(1, 512))
def test_another_number_of_tokens_is_another_number_of_words(name, tokens):
    profile = PROFILES[name]
    tokens = min(tokens, profile.traits.text_tokens)
    words = Overrides(text_tokens=tokens).apply(profile).words
    assert words == max(1, int(tokens * profile.words / profile.text_tokens + 1e-9))
    assert Overrides(steps=3).apply(profile).words == profile.words


def test_words_below_one_are_refused():
    with pytest.raises(ValueError, match="words is 0"):
        told(0)


def test_what_is_served_tells_of_the_model_and_its_defaults():
    with (
        serving(Painter(), told(20, "flux")) as one,
        serving(Painter(), told(20, "flux")) as same,
        serving(Painter(), ServedModel(name="flux", width=32, height=16)) as wider,
        tool_for(one, same) as tool,
        tool_for(one, wider) as mixed,
        tool_for(one, dialect="openai") as other,
    ):
        [model] = httpx.get(one + "/v1/models").json()["data"]
        square = "flux " + json.dumps(model["defaults"], sort_keys=True)
        assert tool.served() == square and '"size": "16x16"' in square
        assert mixed.served() == f"{square}, {square.replace('16x16', '32x16')}"
        assert other.served() is None
    finer = replace(told(20, "flux"), drawn_with="0a1b2c3d")
    with serving(Painter(), finer) as one, tool_for(one) as tool:
        assert tool.served() == f"{square} 0a1b2c3d"
    with answering(models=[{"id": "flux"}]) as server, tool_for(server) as tool:
        assert tool.served() is None


def test_weights_and_settings_that_go_by_one_name_are_told_apart(tmp_path: Path):
    usual = PROFILES["flux-8step"]

    def weights(name: str, content: bytes) -> str:
        (tmp_path / name / "transformer").mkdir(parents=True)
        (tmp_path / name / "transformer" / "model.safetensors").write_bytes(content)
        return str(tmp_path / name)

    lora = tmp_path / "mine.safetensors"
    lora.touch()
    others = [
        Overrides(lora=lora),
        Overrides(text_tokens=77),
        Overrides(steps=4),
        Overrides(dtype="float32"),
    ]
    digests = [
        usual.digest(),
        replace(usual, repository=weights("tuned", b"1")).digest(),
        replace(usual, repository=weights("tuned more", b"2")).digest(),
        *(one.apply(usual).digest() for one in others),
    ]
    assert len(set(digests)) == len(digests)
    # What draws the same pictures is the same, wherever it lies.
    assert replace(usual, max_batch=1, note="", name="mine").digest() == digests[0]
    assert replace(usual, repository=weights("moved", b"1")).digest() == digests[1]
    assert ServedModel.from_profile(usual).drawn_with == digests[0]
    lora.write_bytes(b"learnt since")
    assert Overrides(lora=lora).apply(usual).digest() not in digests
