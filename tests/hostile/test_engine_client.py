"""The door of engines: whatever a vLLM server says, a whole turn or one line."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile.drawn import HEADERS, JSONS, STATUSES
from tests.hostile.raw_server import RawServer, answer, raw_server

from genagent_policy import Policy
from genagent_rollout import SamplingConfig
from genagent_rollout.vllm_config import VllmConfig
from genagent_rollout.vllm_engine import EngineError, VllmEngine

KEY = "key-hostile-0123456789"
MOST = 4
"""Tokens of a turn."""


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with raw_server() as running:
        yield running


def turn_or_line(
    policy: Policy, server: RawServer, key: str | None = None, *, seconds: float = 0.3
) -> list[int] | str:
    config = VllmConfig(urls=(server.url,), deadline_seconds=seconds, api_key_env=key)
    vocabulary = policy.model.config.get_text_config().vocab_size
    sampling = SamplingConfig(max_turn_tokens=MOST)
    engine = VllmEngine(policy.chat, sampling, config, vocabulary=vocabulary)
    try:
        return list(asyncio.run(engine.open("red", seed=3).turn()).ids)
    except EngineError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2000
        return str(error)
    finally:
        engine.close()


@settings(max_examples=25)
@given(status=STATUSES, headers=HEADERS, body=JSONS)
def test_no_answer_is_more_than_a_line(tiny_policy, server, status, headers, body):
    server.says = answer(body, status=status, headers=headers)
    assert isinstance(turn_or_line(tiny_policy, server), str)


TOKENS = st.lists(st.integers(-5, 300) | st.just(10**30), max_size=6)
NUMBERS = st.sampled_from([-0.5, 0.0, 0.5, -1e400, float("nan"), None, "-0.5"])


@settings(max_examples=30)
@given(
    tokens=TOKENS, number=NUMBERS, reason=st.sampled_from(["stop", "length", "abort", "\x1b[2J"])
)
def test_a_turn_is_whole_or_none(tiny_policy, server, tokens, number, reason):
    content = [{"token_id": token, "logprob": number} for token in tokens]
    choice = {"token_ids": tokens, "finish_reason": reason, "logprobs": {"content": content}}
    ids = tiny_policy.chat.prompt_ids("red")
    server.says = answer(json.dumps({"prompt_token_ids": ids, "choices": [choice]}).encode())
    size = tiny_policy.model.config.get_text_config().vocab_size
    is_whole = (
        0 < len(tokens) <= MOST
        and all(0 <= token < size for token in tokens)
        and number in (-0.5, 0.0, "-0.5")
        and reason in ("stop", "length")
    )
    # What is whole comes in its own time; what is not is given up soon.
    found = turn_or_line(tiny_policy, server, seconds=60.0 if is_whole else 0.3)
    assert (found == tokens) is is_whole


def test_another_prompt_than_was_sent_is_named(tiny_policy, server):
    choice = {"token_ids": [5], "finish_reason": "stop"}
    choice["logprobs"] = {"content": [{"token_id": 5, "logprob": -1.0}]}
    server.says = answer(json.dumps({"prompt_token_ids": [1] * 9999, "choices": [choice]}).encode())
    assert "position 0 of the prompt" in str(turn_or_line(tiny_policy, server))


@pytest.mark.parametrize("status", [b"200 OK", b"401 X", b"500 X"])
def test_an_echoed_key_is_struck_out(tiny_policy, server, monkeypatch, status):
    monkeypatch.setenv("ENGINE_KEY", KEY)
    server.says = answer(f'{{"error": {{"message": "bad {KEY}"}}}}'.encode(), status=status)
    said = turn_or_line(tiny_policy, server, "ENGINE_KEY")
    assert isinstance(said, str) and KEY not in said
    assert KEY.encode() in server.asked[-1]
