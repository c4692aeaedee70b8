"""Who may ask: any thread, any event loop, a fork of the program; and how it ends."""

import asyncio
import gc
import subprocess
import sys
import threading
import time

import pytest
from tests.endpoints.scripted_server import Says, ask, client, saying

from genagent_endpoints import together


def test_event_loops_and_threads_share_one_client():
    async def three(endpoints):
        answers = await asyncio.gather(*[endpoints.post("/ask", {"n": n}) for n in range(3)])
        return [answer.json() for answer in answers]

    with saying(lambda body, number: Says(body=b"%d" % body["n"])) as server:
        with client(server) as endpoints:
            assert asyncio.run(three(endpoints)) == [0, 1, 2]
            assert ask(endpoints, {"n": 7}, {"n": 8}) == [7, 8]
            heard = []
            threads = [
                threading.Thread(target=lambda: heard.append(asyncio.run(three(endpoints))))
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert heard == [[0, 1, 2]] * 3
        for asking in (lambda: ask(endpoints, {}), lambda: asyncio.run(three(endpoints))):
            with pytest.raises(ValueError, match="the client is closed"):
                asking()


FORK = """
import os, sys
from tests.endpoints.scripted_server import ask, client
endpoints = client(sys.argv[1], max_concurrency=1)
assert ask(endpoints, 1) == ["yes"]
child = os.fork()
assert ask(endpoints, 2, 3) == ["yes", "yes"]
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(endpoints, 4) == ["yes"]
endpoints.close()
"""


def test_a_fork_asks_over_connections_of_its_own():
    with saying() as server:
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", FORK, server.url], capture_output=True, timeout=60, text=True
        )
        assert ended.returncode == 0, ended.stderr
        # An attempt has 20: none was lost because the child closed what is the parent's.
        assert time.monotonic() - started < 15
        assert sorted(server.asked) == [1, 2, 2, 3, 3, 4]


def test_a_client_that_nobody_uses_any_more_ends_its_thread(capfd):
    before = threading.active_count()
    with saying() as server:
        endpoints = client(server)
        assert ask(endpoints, {}) == ["yes"]
        del endpoints
        give_up = time.monotonic() + 10
        while any(thread.name == "endpoints" for thread in threading.enumerate()):
            assert time.monotonic() < give_up
            gc.collect()
            time.sleep(0.01)
    assert threading.active_count() <= before
    assert capfd.readouterr().err == ""


def test_the_first_of_several_that_raises_ends_the_others():
    ended = []

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("waiting")

    async def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(together([wait(), fail(), wait()]))
    assert ended == ["waiting"] * 2
    assert asyncio.run(together([])) == []
