"""The places of a batch: full until the queue is empty, and who gets one next."""

import threading
import time
from collections import Counter

import pytest
from PIL import Image
from tests.judge_server import YES, Answer, ask, chat_for, serving

from genagent_rewards import ChatRequest


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


def test_a_retry_goes_before_what_was_not_tried_yet():
    def script(body, number):
        asked.append(body["messages"][-1]["content"][0]["text"][-1])
        return Answer(words="hm") if number in (1, 4) else YES

    asked: list[str] = []
    with serving(script) as server:
        ask(chat_for(server.url, max_concurrency=1, max_attempts=2), 5)
    assert "".join(asked) == "0112334"
