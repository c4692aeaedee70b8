"""Requests of a pool's threads, given up all at once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest
from tests.endpoints.scripted_server import Says, ask, client, saying
from tests.waiting import until

from genagent_endpoints import CancelScope


def test_who_waits_is_told_and_who_asks_later_too():
    """Of one scope in another; a thread of neither goes on."""
    go_on = threading.Event()

    def hangs(body, number) -> Says:
        go_on.wait(60)
        return Says()

    with saying(hangs) as server, client(server) as endpoints, ThreadPoolExecutor(1) as other:
        outer = CancelScope()
        with ThreadPoolExecutor(1, initializer=outer.enter) as above:
            inner = above.submit(CancelScope).result()
            with ThreadPoolExecutor(1, initializer=inner.enter) as below:
                waiting = below.submit(ask, endpoints, 1)
                unconcerned = other.submit(ask, endpoints, 2)
                until(lambda: len(server.asked) == 2)
                outer.cancel()
                for asked in (waiting, below.submit(ask, endpoints, 3)):
                    with pytest.raises(CancelledError):
                        asked.result(timeout=30)
        assert len(server.asked) == 2
        go_on.set()
        assert unconcerned.result() == ["yes"]


def test_only_what_is_under_way_is_held():
    scope = CancelScope()
    done: Future[int] = Future()
    scope.add(done)
    done.set_result(3)
    scope.cancel()
    assert done.result() == 3
    assert scope._running == set()


ENDS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from genagent_endpoints import CancelScope
from tests.endpoints.scripted_server import ask, client
endpoints, scope = client(sys.argv[1]), CancelScope()
threads = ThreadPoolExecutor(8, initializer=scope.enter)
for number in range(8):
    threads.submit(ask, endpoints, number)
sys.stdin.readline()
threads.shutdown(wait=False, cancel_futures=True)
scope.cancel()
"""


def test_a_program_whose_server_hangs_ends_at_once():
    go_on = threading.Event()

    def hangs(body, number) -> Says:
        go_on.wait(60)
        return Says()

    with saying(hangs) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", ENDS, server.url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(server.asked) == 8)
        began = time.monotonic()
        _, errors = process.communicate("\n", timeout=60)
        # An attempt has 20 s.
        assert time.monotonic() - began < 10
        assert (process.returncode, errors) == (0, "")
        go_on.set()
