"""The chat client on a healthy server: what it sends, what it hands back, how it is configured."""

import asyncio
import json
import threading
import time

import pytest
from PIL import Image
from tests.judge_server import (
    YES,
    Answer,
    ask,
    chat_for,
    pictures_in,
    refused_url,
    serving,
    words_in,
)

from genagent_rewards import ChatReply, ChatRequest, OpenAIChat, OpenAIChatConfig


def test_a_request_arrives_as_it_was_meant():
    picture = Image.new("RGB", (5, 3), (10, 20, 30))
    picture.putpixel((4, 2), (200, 100, 0))
    chat_template = {"chat_template_kwargs": {"enable_thinking": False}}
    with serving(YES) as server:
        chat = chat_for(server.url, max_tokens=77, extra_body=chat_template)
        request = ChatRequest(system="be strict", parts=("First:", picture, "which?"))
        (reply,) = chat.reply([request], accept=lambda text: True)
    (body,) = server.requests
    assert reply == ChatReply(text=YES.words, attempts=1, model=chat.name, raw=YES.words or "")
    assert body["messages"][0] == {"role": "system", "content": "be strict"}
    kinds = [part["type"] for part in body["messages"][1]["content"]]
    assert kinds == ["text", "image_url", "text"]
    assert pictures_in(body)[0].tobytes() == picture.tobytes()
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("judge", 0, 77)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_fields_that_a_model_refuses_can_be_left_out():
    """OpenAI's models that reason refuse max_tokens and every temperature but 1."""
    instead: dict[str, object] = {"max_tokens": None, "temperature": None}
    instead["max_completion_tokens"] = 500
    with serving(YES) as server:
        chat = chat_for(server.url, extra_body=instead)
        chat.reply([ChatRequest(system="", parts=("which?",))], accept=lambda text: True)
    (body,) = server.requests
    assert sorted(body) == ["max_completion_tokens", "messages", "model"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "LA", "F"])
def test_pictures_of_every_mode_can_be_shown(mode):
    with serving(YES) as server:
        request = ChatRequest(system="", parts=(Image.new(mode, (4, 4)),))
        (reply,) = chat_for(server.url).reply([request], accept=lambda text: True)
    assert reply.text == YES.words
    assert pictures_in(server.requests[0])[0].size == (4, 4)


def test_replies_come_in_the_order_of_the_requests():
    def script(body, number):
        text = body["messages"][-1]["content"][0]["text"]
        time.sleep(0.02 * (number % 3 == 0))
        return Answer(words=f"{text} <verdict>yes</verdict>")

    heard: dict[int, str | None] = {}
    with serving(script) as server:
        replies = ask(
            chat_for(server.url, max_concurrency=4),
            20,
            arrived=lambda place, reply: heard.update({place: reply.text}),
        )
    assert [reply.text for reply in replies] == [
        f"question {n} <verdict>yes</verdict>" for n in range(20)
    ]
    assert heard == {place: reply.text for place, reply in enumerate(replies)}


def test_half_a_surrogate_pair_becomes_writable():
    body = YES.payload().replace(b"circle", b"circle \\ud800")
    with serving(Answer(body=body)) as server:
        (reply,) = ask(chat_for(server.url))
    assert reply.text == "one red circle ?. <verdict>yes</verdict>"


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    with serving(YES) as server:
        ask(chat_for(server.url, api_key_env="JUDGE_KEY"))
        ask(chat_for(server.url, api_key_env="NO_SUCH_KEY"))
    assert server.keys == ["Bearer secret", None]


def test_it_works_where_an_event_loop_runs():
    async def inside(chat: OpenAIChat) -> list[ChatReply]:
        return ask(chat, 3)

    with serving(YES) as server:
        replies = asyncio.run(inside(chat_for(server.url)))
    assert [reply.text for reply in replies] == [YES.words] * 3


def test_two_threads_share_one_client():
    with serving(YES) as server:
        chat = chat_for(server.url)
        results: list[list[ChatReply]] = []
        threads = [threading.Thread(target=lambda: results.append(ask(chat, 10))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [len(replies) for replies in results] == [10, 10, 10]
    assert chat.counts.requests == chat.counts.attempts == 30


def test_what_accept_raises_is_not_swallowed():
    def accept(text: str) -> bool:
        raise KeyError("mine")

    with serving(YES) as server, pytest.raises(KeyError, match="mine"):
        chat_for(server.url).reply([ChatRequest(system="", parts=("a",))], accept=accept)


def test_refused_words_are_the_last_ones_only_where_no_server_failed_after_them():
    def refused_then(second: Answer) -> ChatReply:
        def script(body, number):
            return Answer(words="no verdict") if number == 0 else second

        with serving(script) as server:
            chat = chat_for(server.url, max_attempts=2, backoff_seconds=(0.0, 0.0))
            request = ChatRequest(system="", parts=("a",))
            return chat.reply([request], accept=lambda text: False)[0]

    again = refused_then(Answer(words="still none"))
    assert (again.text, again.raw) == (None, "still none")
    # Kept for good with its words, it would never be asked about again.
    lost = refused_then(Answer(status=503, words="out of memory"))
    assert (lost.text, lost.raw, lost.attempts) == (None, "", 2)
    assert lost.error is not None and "503" in lost.error


def test_nothing_is_sent_for_nothing():
    assert chat_for(refused_url()).reply([], accept=lambda text: True) == []


def test_check_names_an_endpoint_that_does_not_answer():
    dead = refused_url()
    with serving(Answer(words="yes", finish="length")) as server:
        chat_for(server.url).check()
        with pytest.raises(ValueError, match=f"{dead} does not answer .* start it"):
            chat_for(server.url, dead).check()
    bad_key = Answer(status=401, words="bad key")
    with serving(bad_key) as server, pytest.raises(ValueError, match="bad key"):
        chat_for(server.url).check()


def test_check_shows_each_endpoint_a_picture():
    with serving(YES) as first, serving(YES) as second:
        chat_for(first.url, second.url).check()
        for server in (first, second):
            (body,) = server.requests
            (picture,) = pictures_in(body)
            assert picture.getcolors() == [(64 * 64, (255, 0, 0))]
            assert "red" in words_in(body)


def test_check_refuses_an_endpoint_that_cannot_see():
    def blind(body, number):
        says = "judge does not support image input"
        return Answer(status=400, words=says) if pictures_in(body) else YES

    with serving(YES) as seeing, serving(blind) as server:
        refused = f"{server.url} .*'judge' .*judge does not support image input"
        with pytest.raises(ValueError, match=refused) as raised:
            chat_for(seeing.url, server.url).check()
        assert seeing.url not in str(raised.value)
        # Without a picture nobody would have noticed.
        assert ask(chat_for(server.url))[0].text == YES.words


def test_the_name_tells_settings_apart_that_change_answers():
    def name(**config):
        return chat_for("http://a/v1", **config).name

    assert name() == name(max_concurrency=3, max_attempts=9) == "judge"
    names = {name(), name(temperature=0.5), name(extra_body={"top_k": 1})}
    assert len(names) == 3
    assert name(extra_body={"a": 1, "b": 2}) == name(extra_body={"b": 2, "a": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_urls": ()},
        {"base_urls": ("127.0.0.1:8000",)},
        {"base_urls": ("http://a/v1", "http://b:8000/")},
        {"base_urls": ("http://me:secret@host/v1",)},
        {"base_urls": ("http://a/v1", "http://a/v1")},
        {"model": ""},
        {"max_concurrency": 0},
        {"max_attempts": 0},
        {"max_tokens": 0},
        {"timeout_seconds": 0.0},
        {"deadline_seconds": float("inf")},
        {"temperature": -0.1},
        {"retry_temperature": 2.1},
        {"backoff_seconds": (2.0, 1.0)},
        {"quarantine_after": 0},
    ],
)
def test_a_wrong_setting_is_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} ") as raised:
        OpenAIChatConfig(**({"base_urls": ("http://a/v1",), "model": "judge"} | wrong))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/"])
def test_a_url_without_a_path_would_be_a_bare_404_and_is_told_the_usual_one(path):
    url = f"https://host:8000{path}"
    with pytest.raises(ValueError) as raised:
        OpenAIChatConfig(base_urls=(url,), model="judge")
    assert str(raised.value) == (
        f"base_urls has {url!r}, which has no path; wants https://host:8000/v1"
    )
    for path in ("/v1", "/v1/", "/openai/deployments/judge"):
        assert OpenAIChatConfig(base_urls=("https://host" + path,), model="judge")


def test_a_config_can_be_written_down():
    from dataclasses import asdict

    config = OpenAIChatConfig(base_urls=("http://a/v1",), model="judge")
    assert json.loads(json.dumps(asdict(config)))["api_key_env"] == "OPENAI_API_KEY"


def test_one_reply_is_awaited_on_any_event_loop_and_counted():
    async def two(chat: OpenAIChat) -> list[ChatReply]:
        requests = [ChatRequest(system="", parts=(words,)) for words in ("a", "b")]
        return await asyncio.gather(
            *(chat.reply_one(one, accept=lambda text: "yes" in text) for one in requests)
        )

    with serving(YES) as server:
        chat = chat_for(server.url)
        for _ in range(2):
            assert [reply.text for reply in asyncio.run(two(chat))] == [YES.words] * 2
        assert chat.counts.requests == len(server.requests) == 4
    with (
        serving(Answer(status=401, words="no")) as server,
        pytest.raises(ValueError, match="no endpoint accepts requests for model 'judge'"),
    ):
        asyncio.run(two(chat_for(server.url)))


def test_one_that_is_no_longer_waited_for_is_given_up():
    """Ctrl-C among a hundred side by side must not wait for the slowest."""
    begun, gone = threading.Event(), threading.Event()

    def slow(body: dict, number: int) -> Answer:
        begun.set()
        gone.wait(20)
        return YES

    async def impatient(chat: OpenAIChat) -> None:
        request = ChatRequest(system="", parts=("a",))
        waiting = asyncio.create_task(chat.reply_one(request, accept=lambda text: True))
        await asyncio.to_thread(begun.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with serving(slow) as server:
        asyncio.run(impatient(chat_for(server.url)))
        gone.set()


def test_check_asks_a_model_that_only_writes_in_words():
    with serving(YES) as server:
        chat_for(server.url).check(sees=False)
        [body] = server.requests
        assert "image_url" not in str(body)
