"""The chat client on one ill server: what is tried again, how long it waits, what stays absent."""

import gzip
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.judge_server import YES, Answer, ask, chat_for, refused_url, serving


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


def test_an_answer_is_bounded_as_it_comes_and_as_it_is_unpacked():
    flood = YES.payload().replace(b"circle", b"circle " * 100_000)
    bomb = gzip.compress(flood)
    packed = Answer(body=bomb, headers={"Content-Encoding": "gzip"})
    assert len(bomb) < 10_000
    for fault in (Answer(body=flood), packed):
        with serving(lambda body, number, fault=fault: YES if number else fault) as server:
            (reply,) = ask(chat_for(server.url, max_answer_bytes=100_000))
        assert (reply.text, reply.attempts) == (YES.words, 2)
    small = Answer(body=gzip.compress(YES.payload()), headers={"Content-Encoding": "gzip"})
    with serving(small) as server:
        assert ask(chat_for(server.url))[0].text == YES.words


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"Content-Type": "application/json; charset=rot13"},
    ],
)
def test_no_header_ends_a_batch(headers):
    ill = Answer(status=500, words="ill", headers=headers)
    with serving(lambda body, number: ill if number == 0 else YES) as server:
        assert [reply.text for reply in ask(chat_for(server.url), 3)] == [YES.words] * 3


def test_a_redirect_does_not_take_the_picture_elsewhere():
    with serving(YES) as other:
        away = Answer(status=307, headers={"Location": f"{other.url}/chat/completions"})
        with serving(away) as server:
            (reply,) = ask(chat_for(server.url))
        assert reply.text is None and "307" in (reply.error or "")
        assert other.requests == []


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


def test_without_any_endpoint_replies_are_absent_and_nothing_is_raised():
    (reply,) = ask(chat_for(refused_url()))
    assert reply.text is None and reply.attempts == 3
    assert "Cannot connect" in (reply.error or "")
