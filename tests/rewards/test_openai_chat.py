"""The chat client against real servers on loopback, well and ill."""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image
from tests.rewards.judge_server import YES, Answer, pictures_in, serving

from genagent_rewards import ChatReply, ChatRequest, OpenAIChat, OpenAIChatConfig, parse_verdict
from genagent_rewards.endpoints import Endpoints


def chat_for(*urls: str, **config) -> OpenAIChat:
    settings = {"backoff_seconds": (0.0, 0.01), "max_attempts": 3, "timeout_seconds": 20.0}
    return OpenAIChat(OpenAIChatConfig(base_urls=urls, model="judge", **(settings | config)))


def ask(chat: OpenAIChat, count: int = 1, **more) -> list[ChatReply]:
    requests = [ChatRequest(system="judge", parts=(f"question {n}",)) for n in range(count)]
    return chat.reply(requests, accept=lambda text: parse_verdict(text) is not None, **more)


def refused_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


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


@pytest.mark.parametrize(
    "fault",
    [
        Answer(body=YES.payload()[:40]),
        Answer(body=YES.payload()[:40], length=4000),
        Answer(body=b""),
        Answer(body=b"<html>gateway</html>"),
        Answer(body=b'{"choices": []}'),
        Answer(body=b'{"choices": [{"message": null}]}'),
        Answer(body=b'{"choices": [{"message": {"content": ["a"]}}]}'),
        Answer(body=b"[" * 100_000),
        Answer(status=500, words="out of memory"),
        Answer(status=503, words="loading"),
        Answer(status=408, words="slow"),
        Answer(status=409, words="busy"),
        Answer(words=None),
        Answer(words=""),
        Answer(words="I cannot help with judging this picture."),
        Answer(words="one red circle. <verdict>yes</verd", finish="length"),
        Answer(words="one red circle. <verdict>yes</verdict>", finish="length"),
        Answer(words="<verdict>yes</verdict> or rather <verdict>no</verdict>"),
    ],
)
def test_what_may_pass_is_tried_again_and_then_absent(fault):
    with serving(lambda body, number: fault if number < 2 else YES) as server:
        chat = chat_for(server.url)
        (reply,) = ask(chat)
        assert (reply.text, reply.attempts, reply.error) == (YES.words, 3, None)
        assert (chat.counts.attempts, chat.counts.retries, chat.counts.failures) == (3, 2, 0)
    with serving(fault) as server:
        chat = chat_for(server.url)
        (reply,) = ask(chat)
        assert reply.text is None and reply.attempts == 3 and len(server.requests) == 3
        assert reply.error is not None and "after 3 attempts" in reply.error
        assert reply.raw == ((fault.words or "") if fault.status == 200 else "")
        assert chat.counts.failures == 1


def test_a_verdict_said_twice_counts():
    twice = "<verdict>yes</verdict> as said: <verdict>yes</verdict>"
    with serving(Answer(words=twice)) as server:
        (reply,) = ask(chat_for(server.url))
    assert (reply.text, reply.attempts) == (twice, 1)


def test_only_after_a_refused_reply_is_the_temperature_raised():
    answers = [Answer(status=500), Answer(words="hm"), Answer(status=500), YES]
    with serving(lambda body, number: answers[number]) as server:
        ask(chat_for(server.url, max_attempts=4, retry_temperature=0.6))
    assert [body["temperature"] for body in server.requests] == [0, 0, 0.6, 0.6]


def test_half_a_surrogate_pair_becomes_writable():
    body = YES.payload().replace(b"circle", b"circle \\ud800")
    with serving(Answer(body=body)) as server:
        (reply,) = ask(chat_for(server.url))
    assert reply.text == "one red circle ?. <verdict>yes</verdict>"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_no_endpoint_would_take_is_absent_at_once(status):
    with serving(Answer(status=status, words="maximum context length is 4096")) as server:
        replies = ask(chat_for(server.url), 2)
    assert len(server.requests) == 2
    for reply in replies:
        assert reply.text is None and "maximum context length is 4096" in (reply.error or "")


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(as_date):
    def script(body, number):
        times.append(time.monotonic())
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        wait = {"Retry-After": date if as_date else "0.5"}
        return YES if number else Answer(status=429, words="slow down", headers=wait)

    times: list[float] = []
    with serving(script) as server:
        (reply,) = ask(chat_for(server.url))
    assert reply.text == YES.words
    # A date has whole seconds: two from now is at least one away.
    assert times[1] - times[0] >= (0.95 if as_date else 0.5)


def test_a_wait_beyond_the_deadline_is_not_waited():
    answer = Answer(status=429, words="quota", headers={"Retry-After": "3600"})
    with serving(answer) as server:
        (reply,) = ask(chat_for(server.url, deadline_seconds=5.0))
    assert len(server.requests) == 1
    assert reply.error is not None
    assert "quota" in reply.error and "the deadline of 5 s is over" in reply.error


def test_a_hang_ends_with_the_timeout():
    release = threading.Event()

    def script(body, number):
        if number == 0:
            release.wait(30)
        return YES

    with serving(script) as server:
        (reply,) = ask(chat_for(server.url, timeout_seconds=0.5))
        release.set()
    assert (reply.text, reply.attempts) == (YES.words, 2)


def test_a_trickle_does_not_outlast_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def trickle():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    connection.sendall(b" ")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        (reply,) = ask(chat_for(url, timeout_seconds=0.5, max_attempts=1))
        stop.set()
    assert reply.text is None and "no answer within 0.5 s" in (reply.error or "")


def test_a_refused_connection_fails_over_to_the_second_endpoint():
    with serving(YES) as server:
        chat = chat_for(refused_url(), server.url, max_concurrency=2, quarantine_after=2)
        replies = ask(chat, 30)
    assert all(reply.text == YES.words for reply in replies)
    # Two failures send the dead one to rest, and one more may have been on its way.
    assert 1 <= chat.counts.retries <= 3


def test_without_any_endpoint_replies_are_absent_and_nothing_is_raised():
    (reply,) = ask(chat_for(refused_url()))
    assert reply.text is None and reply.attempts == 3
    assert "Connection error" in (reply.error or "")


def test_an_endpoint_at_rest_is_left_alone():
    with serving(Answer(status=500)) as first, serving(YES) as second:
        chat = chat_for(first.url, second.url, quarantine_after=1, quarantine_seconds=1000.0)
        ask(chat, 5)
        seen = len(first.requests)
        ask(chat, 5)
        assert len(first.requests) == seen > 0


def test_an_endpoint_that_rested_has_one_try_and_rests_again_or_is_back():
    endpoints = Endpoints(("http://a", "http://b"), patience=2, rest_seconds=30.0)
    first, second = endpoints.all
    second.in_flight = 7
    assert endpoints.choose(0.0) is first
    endpoints.failed(first, 1.0)
    assert endpoints.choose(1.0) is first
    endpoints.failed(first, 2.0)
    assert endpoints.choose(31.9) is second
    assert endpoints.choose(32.0) is first
    endpoints.failed(first, 33.0)
    assert endpoints.choose(62.9) is second
    endpoints.succeeded(first)
    assert endpoints.choose(62.9) is first


def test_work_is_shared_by_load():
    def slow(body, number):
        time.sleep(0.02)
        return YES

    with serving(slow) as first, serving(slow) as second:
        ask(chat_for(first.url, second.url, max_concurrency=8), 40)
        assert len(first.requests) + len(second.requests) == 40
        assert 10 <= len(first.requests) <= 30


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_configuration_that_every_endpoint_rejects_stops_the_batch(status):
    with (
        serving(Answer(status=status, words="who are you?")) as first,
        serving(Answer(status=status, words="who are you?")) as second,
    ):
        chat = chat_for(first.url, second.url, api_key_variable="JUDGE_KEY", max_concurrency=4)
        with pytest.raises(ValueError, match="no endpoint accepts requests") as raised:
            ask(chat, 100)
        assert len(first.requests) + len(second.requests) <= 8
    for name in (first.url, second.url, "who are you?", "JUDGE_KEY", "'judge'"):
        assert name in str(raised.value)


def test_one_endpoint_that_rejects_leaves_the_others_at_work():
    with serving(Answer(status=404, words="no such model")) as first, serving(YES) as second:
        replies = ask(chat_for(first.url, second.url, max_attempts=2), 10)
        assert all(reply.text == YES.words for reply in replies)
        assert len(second.requests) == 10


def test_an_endpoint_that_rejected_is_asked_again_in_the_next_batch():
    answers = [Answer(status=404, words="still loading the model"), YES]
    with serving(lambda body, number: answers[number]) as server:
        chat = chat_for(server.url)
        with pytest.raises(ValueError, match="still loading"):
            ask(chat)
        assert ask(chat)[0].text == YES.words


def test_a_retry_goes_before_what_was_not_tried_yet():
    def script(body, number):
        asked.append(body["messages"][-1]["content"][0]["text"][-1])
        return Answer(words="hm") if number in (1, 4) else YES

    asked: list[str] = []
    with serving(script) as server:
        ask(chat_for(server.url, max_concurrency=1, max_attempts=2), 5)
    assert "".join(asked) == "0112334"


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret")
    with serving(YES) as server:
        ask(chat_for(server.url, api_key_variable="JUDGE_KEY"))
        ask(chat_for(server.url, api_key_variable="NO_SUCH_KEY"))
    assert server.keys == ["Bearer secret", "Bearer none"]


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


class Turnstile:
    """A server's door: one handler leaves at a time, and only when ``bound`` are inside.

    The rest wait for a newcomer, so that a client which refills each freed place at once is seen at
    the bound at every departure, however slow the machine; one that works in chunks is not.
    """

    def __init__(self, bound: int, total: int) -> None:
        self.bound = bound
        self.total = total
        self.condition = threading.Condition()
        self.inside = 0
        self.arrived = 0
        self.samples: list[int] = []

    def __call__(self, body, number) -> Answer:
        with self.condition:
            self.inside += 1
            self.arrived += 1
            self.condition.notify_all()
        time.sleep(0.05)
        with self.condition:
            self.condition.wait_for(self._is_full_or_tail, timeout=20)
            if self.arrived < self.total:
                self.samples.append(self.inside)
            self.inside -= 1
        return YES

    def _is_full_or_tail(self) -> bool:
        return self.inside >= self.bound or self.arrived == self.total


@pytest.mark.timeout(120)
def test_the_places_are_full_until_the_queue_is_empty():
    bound, total = 16, 200
    door = Turnstile(bound, total)
    picture = Image.effect_noise((48, 48), 60)
    requests = [ChatRequest(system="judge", parts=(picture, f"{n}?")) for n in range(total)]
    with serving(door) as server:
        chat = chat_for(server.url, max_concurrency=bound, timeout_seconds=100.0)
        replies = chat.reply(requests, accept=lambda text: True)
    assert all(reply.text == YES.words for reply in replies)
    assert len(server.requests) == total
    counts = Counter(door.samples)
    assert max(counts) == bound
    assert len(door.samples) >= total - 2 * bound
    assert counts[bound] >= 0.95 * len(door.samples)


def test_a_request_that_waits_gives_its_place_to_others():
    def script(body, number):
        headers = {"Retry-After": "0.4"}
        return Answer(status=429, words="wait", headers=headers) if number == 0 else YES

    order: list[int] = []
    with serving(script) as server:
        chat = chat_for(server.url, max_concurrency=1)
        ask(chat, 5, arrived=lambda place, reply: order.append(place))
    assert order == [1, 2, 3, 4, 0]


def test_what_accept_raises_is_not_swallowed():
    def accept(text: str) -> bool:
        raise KeyError("mine")

    with serving(YES) as server, pytest.raises(KeyError, match="mine"):
        chat_for(server.url).reply([ChatRequest(system="", parts=("a",))], accept=accept)


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
        {"base_urls": ("http://me:secret@host/v1",)},
        {"base_urls": ("http://a/v1", "http://a/v1")},
        {"model": ""},
        {"max_concurrency": 0},
        {"max_concurrency": 1001},
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


def test_a_config_can_be_written_down():
    from dataclasses import asdict

    config = OpenAIChatConfig(base_urls=("http://a/v1",), model="judge")
    assert json.loads(json.dumps(asdict(config)))["api_key_variable"] == "OPENAI_API_KEY"
