"""Servers that nobody listens at for a while, and requests that cannot do without them."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.endpoints.scripted_server import Says, ask, client, dead_url, saying

from genagent_endpoints import Exhausted


def poorly(body, number):
    return Says() if number else Says(status=500)


@pytest.mark.parametrize("waits", [False, True])
def test_servers_that_nobody_listens_at_are_waited_for_where_that_is_wanted(waits):
    url = dead_url()
    patience = {"quarantine_seconds": 0.1, "max_attempts": 2, "waits_for_return": waits}
    with client(url, **patience) as endpoints, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, endpoints, *[{}] * 5)
        # Each of the five has met with more refusals than it may have failures.
        until = time.monotonic() + 20
        while endpoints.counts.failures < 15 and not asked.done() and time.monotonic() < until:
            time.sleep(0.01)
        if not waits:
            with pytest.raises(Exhausted, match=r"Cannot connect .* \(after 2 attempts\)"):
                asked.result()
            return
        with saying(poorly, port=int(url.rpartition(":")[2])):
            assert asked.result(20) == ["yes"] * 5


def test_what_a_server_answers_badly_counts_though_its_absence_is_waited_for():
    with (
        saying(Says(status=500)) as server,
        client(server, max_attempts=2, waits_for_return=True) as endpoints,
        pytest.raises(Exhausted, match=r"500 .*after 2 attempts"),
    ):
        ask(endpoints, {})
