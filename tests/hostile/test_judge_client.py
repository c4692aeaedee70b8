"""The door of judges: whatever an endpoint says, a verdict or its absence, no exception."""

import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.hostile.drawn import HEADERS, JSONS, STATUSES
from tests.hostile.raw_server import RawServer, answer, raw_server
from tests.judge_server import YES, chat_for

from genagent_rewards import (
    OpenAIChat,
    Picture,
    PointQuestion,
    PointwiseJudge,
    Verdict,
    parse_verdict,
)
from genagent_rewards.openai_chat import CHARACTERS_A_TOKEN

QUESTION = PointQuestion(
    request="a red circle", hints=(), picture=Picture.of(Image.new("RGB", (8, 8), "red"))
)
KEY = "sk-hostile-0123456789"


@pytest.fixture(scope="module")
def server():
    with raw_server() as running:
        yield running


@pytest.fixture(scope="module")
def impatient(server: RawServer):
    """One attempt, and a deadline that no Retry-After is waited for."""
    return client(server)


def client(server: RawServer, **changes) -> OpenAIChat:
    quick = {"max_attempts": 1, "timeout_seconds": 10.0, "deadline_seconds": 0.5}
    return chat_for(f"{server.url}/v1", **{**quick, "quarantine_seconds": 0.001, **changes})


def said(words: str) -> bytes:
    return YES.payload().replace(b"one red circle. <verdict>yes</verdict>", words.encode())


@settings(max_examples=70)
@given(status=STATUSES, headers=HEADERS, body=JSONS)
def test_no_answer_raises_out_of_a_judge(server, impatient, status, headers, body):
    server.says = answer(body, status=status, headers=headers)
    judge = PointwiseJudge(impatient)
    try:
        (verdict,) = judge.judge([QUESTION])
    except ValueError as error:
        # Every endpoint turns us away: the one thing that stops a batch, by design.
        assert status[:3] in (b"401", b"404")
        why = str(error)
    else:
        assert verdict is None or verdict.choice in ("yes", "no")
        why = judge.why_absent(QUESTION) or ""
    assert why.isprintable()
    why.encode()


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_http_are_an_absent_verdict(server, impatient, noise):
    server.says = [noise]
    assert PointwiseJudge(impatient).judge([QUESTION]) == [None]


def test_an_endless_answer_is_read_as_far_as_it_is_allowed(server):
    piece = bytes(1 << 20)
    server.sent = 0
    server.says = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", *[piece] * 200]
    tracemalloc.start()
    try:
        chat = client(server, deadline_seconds=60.0)
        (verdict,) = PointwiseJudge(chat).judge([QUESTION])
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert verdict is None
    assert held < 60 << 20
    assert server.sent < 60 << 20


def test_many_small_values_are_not_held(server):
    body = b'{"choices":[' + b"[]," * 2_000_000 + b"[]]}"
    server.says = answer(body)
    tracemalloc.start()
    try:
        judge = PointwiseJudge(client(server, deadline_seconds=60.0))
        assert judge.judge([QUESTION]) == [None]
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "over 1000000 values" in (judge.why_absent(QUESTION) or "")
    # The values alone would take 110 MB.
    assert held < 40 << 20


def test_a_reply_longer_than_was_asked_for_is_no_verdict_and_is_not_kept(server):
    most = 16 * CHARACTERS_A_TOKEN
    end = "<verdict>yes</verdict>"
    for length, passes in ((most, True), (most + 1, False)):
        server.says = answer(said("x" * (length - len(end)) + end))
        patience = {"deadline_seconds": 60.0} if passes else {}
        judge = PointwiseJudge(client(server, max_tokens=16, **patience))
        (verdict,) = judge.judge([QUESTION])
        assert isinstance(verdict, Verdict) is passes
    assert f"has {most + 1} characters, more than 16 tokens" in (judge.why_absent(QUESTION) or "")


@pytest.mark.parametrize(
    "words",
    [
        "<verdict>" * 200_000,
        "<verdict>yes" * 100_000 + "</verdict>",
        "<verdict></verdict>" * 100_000,
        "</verdict>" * 200_000,
        "<think>" * 200_000,
        "</think>" * 200_000,
        "<verdict>yes</verdict>" + "." * 500_000 + "x",
        "<" * 200_000,
    ],
    ids=lambda words: words[:19],
)
def test_reading_a_verdict_takes_time_by_its_length(words):
    started = time.monotonic()
    parse_verdict(words)
    # A few hundredths; in the square of the length it would be hours.
    assert time.monotonic() - started < 5


LOOK_ALIKES = {"e": "\u0435\u00e9\uff45", "i": "\u0131\u0456\u0130\uff49", "c": "\u0441\uff43"}


@given(st.sampled_from("eic"), st.data())
def test_a_tag_that_only_looks_like_one_is_none(letter, data):
    other = data.draw(st.sampled_from(LOOK_ALIKES[letter]))
    tag = "verdict".replace(letter, other)
    for text in (
        f"<{tag}>yes</verdict>",
        f"<verdict>yes</{tag}>",
        f"<{tag}>yes</{tag}>",
        f"\u2039{tag}>yes</verdict>",
    ):
        assert parse_verdict(text) is None
        # The upper case of a dotless i is an I.
        assert other.upper().isascii() or parse_verdict(text.upper()) is None


def test_a_redirect_carries_no_picture_to_another_host(server):
    with raw_server() as other:
        other.says = answer(YES.payload())
        for status in (b"301 X", b"302 X", b"303 X", b"307 X", b"308 X"):
            where = [(b"Location", f"{other.url}/v1/chat/completions".encode())]
            server.says = answer(status=status, headers=where)
            assert PointwiseJudge(client(server)).judge([QUESTION]) == [None]
        assert other.asked == []


@pytest.mark.parametrize("status", [b"200 OK", b"400 X", b"401 X", b"429 X", b"500 X"])
def test_an_echoed_key_is_struck_out_and_nothing_steers_the_terminal(server, monkeypatch, status):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    echo = f'{{"error": {{"message": "bad \\u001b[2J key {KEY} \\u009b31m\\u202e"}}}}'
    server.says = answer(echo.encode(), status=status)
    judge = PointwiseJudge(client(server, api_key_env="JUDGE_KEY"))
    try:
        judge.judge([QUESTION])
        why = judge.why_absent(QUESTION) or ""
    except ValueError as error:
        why = str(error)
    assert why
    assert KEY not in why
    assert why.isprintable()
    assert KEY.encode() in server.asked[-1]


def test_what_a_trial_says_is_without_the_key(server, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    for before in range(80, 120):
        server.says = answer(json.dumps({"x": "y" * before + KEY}).encode())
        with pytest.raises(ValueError, match="no chat completion") as raised:
            client(server, api_key_env="JUDGE_KEY").check()
        assert not any(KEY[:length] in str(raised.value) for length in range(4, len(KEY) + 1))
