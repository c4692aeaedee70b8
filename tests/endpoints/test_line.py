"""Who stands in line before whom, and who is made ready for its turn."""

import threading
import time
from concurrent.futures import CancelledError

import pytest
from tests.endpoints.scripted_server import Says, ask, client, saying

from genagent_endpoints import together
from genagent_endpoints.line import AHEAD


def test_a_request_that_is_tried_again_goes_before_those_not_tried_yet():
    def script(body, number):
        return Says(status=500) if number in (1, 4) else Says()

    with (
        saying(script) as server,
        client(server, max_concurrency=1, backoff_seconds=(0.0, 0.0)) as endpoints,
    ):
        ask(endpoints, *range(5))
        assert server.asked == [0, 1, 1, 2, 3, 3, 4]


def test_a_request_that_waits_gives_its_place_to_others():
    patience = {"backoff_seconds": (1e6, 1e6), "deadline_seconds": 1e9}
    with (
        saying(lambda body, number: Says() if number else Says(status=500)) as server,
        client(server, max_concurrency=1, **patience) as endpoints,
    ):
        threading.Timer(0.5, endpoints.close).start()
        with pytest.raises(CancelledError):
            ask(endpoints, *range(5))
        assert server.asked == [0, 1, 2, 3, 4]


class Counted:
    """Notes how many were made ready by the time each is answered."""

    def __init__(self, index, ready, seen) -> None:
        self.index, self.ready, self.seen = index, ready, seen

    async def body(self):
        self.ready.append(self.index)
        return {"index": self.index}

    async def read(self, answer, exchange):
        self.seen[self.index] = len(self.ready), len(self.seen)


@pytest.mark.parametrize("bound", [1, 3])
def test_requests_are_made_ready_a_few_before_their_turn(bound):
    def slow(body, number):
        time.sleep(0.005)
        return Says()

    total, ready, seen = 20, [], {}
    with saying(slow) as server, client(server, max_concurrency=bound) as endpoints:
        questions = [Counted(index, ready, seen) for index in range(total)]
        endpoints.run(together([endpoints.ask("/ask", each) for each in questions]))
    assert ready == list(range(total))
    for index, (count, answered) in seen.items():
        assert min(total, index + 1 + AHEAD) <= count <= min(total, answered + bound + AHEAD)
