"""The HTTP tool on one ill server: what is tried again, what is final, how long it waits."""

import base64
import socket
import threading
import time

import pytest
from tests.http_server import Answer, dead_url
from tests.picture_server import (
    answering,
    as_base64,
    as_png,
    drawn,
    expected,
    first_then_right,
    paint,
    picture_answer,
    right,
    tool_for,
)

from genagent_tools import ToolError


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(status=500, body=b'{"error": {"message": "out of memory"}}'),
        Answer(status=502, body=b"<html>"),
        Answer(status=503),
        Answer(status=408),
        Answer(status=409),
        Answer(status=425),
        Answer(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(body=b"{not json"),
        Answer(body=b"[" * 100_000),
        Answer(body=b"[]"),
        Answer(body=b'{"data": []}'),
        Answer(body=b'{"data": [{"b64_json": null, "url": null}]}'),
        Answer(body=b'{"data": [{"b64_json": "%%%"}]}'),
        Answer(body=b'{"data": [{"b64_json": "aGVsbG8="}]}'),
        Answer(body=b'{"data": [{"b64_json": "aGVs', length=500),
        picture_answer("x", 5, b64_json=as_base64(paint("x", 5)), seed=6),
        picture_answer("x", 5, b64_json=base64.b64encode(as_png(paint("x", 5))[:-30]).decode()),
    ],
    ids=lambda answer: f"{answer.status}-{answer.body[:24].decode()}",
)
def test_what_may_pass_is_tried_again(trouble):
    with answering(first_then_right(trouble, trouble)) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert tool.counts.failures == 2
    assert len(server.requests) == 3


def test_a_redirect_is_not_followed():
    with answering() as other:
        elsewhere = Answer(status=302, headers={"Location": f"{other.url}/pictures/x/5"})
        with answering(first_then_right(elsewhere)) as server, tool_for(server) as tool:
            assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert other.fetched == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_refusals_are_final_and_quoted(status):
    refusal = Answer(status=status, body=b'{"error": {"message": "the prompt is\\ntoo rude"}}')
    with answering(lambda body, number: refusal) as server, tool_for(server) as tool:
        with pytest.raises(ToolError, match=f"{server.url}/v1.*: {status} the prompt is too rude"):
            tool.generate(["x"], [1])
        assert len(server.requests) == 1


def test_retry_after_is_honoured_and_is_no_failure():
    asked = []

    def script(body, number):
        asked.append(time.monotonic())
        return first_then_right(Answer(status=429, headers={"Retry-After": "1"}))(body, number)

    with answering(script) as server, tool_for(server, max_attempts=1) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        assert (tool.counts.waits, tool.counts.failures) == (1, 0)
    assert 1.0 <= asked[1] - asked[0] < 5.0


def test_a_failure_too_may_say_when_to_come_back():
    asked = []

    def script(body, number):
        asked.append(time.monotonic())
        return first_then_right(Answer(status=500, headers={"Retry-After": "1"}))(body, number)

    with answering(script) as server, tool_for(server) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
    assert asked[1] - asked[0] >= 1.0


def test_a_wait_beyond_the_deadline_is_not_waited():
    busy = Answer(status=429, headers={"Retry-After": "3600"}, body=b'{"detail": "queue full"}')
    with (
        answering(lambda body, number: busy) as server,
        tool_for(server, deadline_seconds=5.0) as tool,
    ):
        started = time.monotonic()
        with pytest.raises(ToolError, match=r"429 queue full \(the deadline of 5 s is over\)"):
            tool.generate(["x"], [1])
        assert time.monotonic() - started < 4.5


def test_nobody_there_names_the_last_reason():
    with (
        tool_for(dead_url(), max_attempts=3) as tool,
        pytest.raises(ToolError, match=r"http://127.*Cannot connect.* \(after 3 attempts\)$"),
    ):
        tool.generate(["x"], [1])


def test_a_hanging_server_is_given_up_and_its_late_answer_is_no_second_picture():
    late = threading.Event()

    def script(body, number):
        if number == 0:
            late.wait(10)
            return picture_answer("late", 1)
        return right(body, number)

    with answering(script) as server, tool_for(server, timeout_seconds=0.3) as tool:
        assert drawn(tool, ["x"], [5]) == expected(["x"], [5])
        late.set()
        assert drawn(tool, ["y"], [6]) == expected(["y"], [6])
        assert tool.counts.pictures == 2
        assert tool.counts.failures == 1


def test_a_request_on_its_way_does_not_outlast_the_deadline():
    late = threading.Event()

    def script(body, number):
        late.wait(60)
        return right(body, number)

    with answering(script) as server:
        with (
            tool_for(server, timeout_seconds=100.0, deadline_seconds=0.5) as tool,
            pytest.raises(
                ToolError, match=r"no answer within .* s \(the deadline of 0\.5 s is over\)"
            ),
        ):
            tool.generate(["x"], [1])
        late.set()


def test_a_trickle_does_not_outlast_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with tool_for(url, timeout_seconds=0.5, max_attempts=1) as tool:
            started = time.monotonic()
            with pytest.raises(ToolError, match=r"no answer within 0\.5 s"):
                tool.generate(["x"], [1])
            assert time.monotonic() - started < 4.5
        thread.join()
