"""The places of a batch: full until the queue is empty, and who gets one next."""

import asyncio
import threading
import time
from collections import Counter

import pytest
from PIL import Image
from tests.judge_server import YES, Answer, ask, chat_for, serving

from genagent_rewards import ChatRequest, OpenAIChatConfig
from genagent_rewards.chat_batch import AHEAD, Batch, Outcome
from genagent_rewards.endpoints import Endpoints


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


def test_a_request_that_waits_gives_its_place_to_others():
    def script(body, number):
        headers = {"Retry-After": "0.4"}
        return Answer(status=429, words="wait", headers=headers) if number == 0 else YES

    order: list[int] = []
    with serving(script) as server:
        chat = chat_for(server.url, max_concurrency=1)
        ask(chat, 5, arrived=lambda place, reply: order.append(place))
    assert order == [1, 2, 3, 4, 0]


@pytest.mark.parametrize("bound", [1, 3])
def test_requests_are_made_ready_a_few_before_their_turn(bound):
    total, prepared, seen = 20, [], {}

    async def prepare(job):
        prepared.append(job.index)

    async def send(endpoint, job):
        await asyncio.sleep(0.002)
        seen[job.index] = len(prepared)
        return Outcome(fate="answered", text="yes")

    async def run():
        batch = Batch(
            [ChatRequest(system="", parts=("?",))] * total,
            model="judge",
            limits=OpenAIChatConfig(base_urls=("http://x/v1",), model="m", max_concurrency=bound),
            endpoints=Endpoints(("http://x/v1",), patience=3, rest_seconds=1.0),
            prepare=prepare,
            send=send,
            accept=lambda text: True,
            arrived=None,
        )
        return await batch.run()

    assert [reply.text for reply in asyncio.run(run())] == ["yes"] * total
    assert prepared == list(range(total))
    for index, ready in seen.items():
        assert min(total, index + 1 + AHEAD) <= ready <= min(total, index + bound + AHEAD)
