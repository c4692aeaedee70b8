"""Several servers of one model: the least loaded is asked, the failing one is left alone."""

import socket
import threading
import time

import pytest
from PIL import Image
from tests.http_server import Answer
from tests.picture_server import answering, drawn, expected, right, tool_for

from genagent_tools import PartialFailure, ToolError


def test_the_least_loaded_server_is_asked():
    release = threading.Event()

    def slow(body, number):
        release.wait(20)
        return right(body, number)

    with answering(slow) as stuck, answering() as free, tool_for(stuck, free) as tool:
        threading.Timer(0.5, release.set).start()
        assert drawn(tool, ["x"] * 30, range(30)) == expected(["x"] * 30, range(30))
    assert len(stuck.requests) + len(free.requests) == 30
    assert len(stuck.requests) <= 16


def test_a_busy_server_is_left_alone_while_another_is_free():
    busy = Answer(status=503, headers={"Retry-After": "30"})
    with (
        answering(lambda body, number: busy) as first,
        answering() as second,
        tool_for(first, second, max_concurrency=1) as tool,
    ):
        started = time.monotonic()
        assert drawn(tool, ["x"] * 9, range(9)) == expected(["x"] * 9, range(9))
        assert time.monotonic() - started < 10
    assert len(first.requests) == 1
    assert len(second.requests) == 9


def test_a_dead_server_is_quarantined_and_asked_again_later():
    with answering() as alive, socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
        place.close()
        options = {"quarantine_after": 2, "quarantine_seconds": 3.0, "max_concurrency": 4}
        with tool_for(f"http://127.0.0.1:{port}", alive, **options) as tool:
            assert drawn(tool, ["x"] * 40, range(40)) == expected(["x"] * 40, range(40))
            assert tool.counts.quarantines >= 1
            assert tool.counts.failures <= 12
            with answering(port=port) as risen:
                time.sleep(3.2)
                assert drawn(tool, ["y"] * 20, range(20)) == expected(["y"] * 20, range(20))
                assert len(risen.requests) >= 3


def test_one_picture_that_fails_everywhere_does_not_quarantine_the_server():
    def script(body, number):
        return Answer(status=500) if body["prompt"] == "bad" else right(body, number)

    with answering(script) as server, tool_for(server, max_attempts=5) as tool:
        with pytest.raises(PartialFailure) as failed:
            tool.generate(["a", "bad", "c"], [1, 2, 3])
        assert tool.counts.quarantines == 0
        assert tool.counts.requests == 7
    first, second, third = failed.value.results
    assert isinstance(first, Image.Image) and isinstance(third, Image.Image)
    assert [first.tobytes(), third.tobytes()] == expected(["a", "c"], [1, 3])
    assert isinstance(second, ToolError)
    assert str(second).endswith("(after 5 attempts)")
    assert str(failed.value).startswith("1 of 3 pictures failed; the first: http://")
