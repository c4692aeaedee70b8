"""Tools that are slow, fail or die: every trajectory ends once, and waits for its own picture."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from PIL import Image
from tests.http_server import Answer
from tests.picture_server import answering, paint, right, tool_for
from tests.rollout.painting import DONE, FIRST, calling, painted

from genagent_data import Picture
from genagent_rollout import Rollout, RolloutBatch
from genagent_tools import ToolError

Act = Callable[..., RolloutBatch]
COUNT = 30


class Endings:
    """Told of rollouts as they end; each must be told of once, and be the one that is returned."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.rollouts: dict[int, Rollout] = {}

    def __call__(self, place: int, rollout: Rollout) -> None:
        self.places.append(place)
        self.rollouts[place] = rollout

    def check(self, batch: RolloutBatch) -> None:
        assert sorted(self.places) == list(range(len(batch.rollouts)))
        for place, rollout in enumerate(batch.rollouts):
            assert self.rollouts[place] is rollout
            assert rollout.seed == place
            assert rollout.trajectory.rounds[0].tool_prompt == f"picture {place}"


def _scripts(count: int = COUNT) -> list[list[str]]:
    return [[calling(f"picture {place}"), DONE] for place in range(count)]


def _place(prompt: str) -> int:
    return int(prompt.split()[1])


class Unreliable:
    """Three in ten calls fail, and one in ten takes 50 times as long."""

    def _one(self, prompt: str, seed: int) -> Image.Image:
        if _place(prompt) % 10 in (1, 4, 7):
            raise ToolError(f"no {prompt}")
        return painted(prompt, seed)

    def _seconds(self, prompt: str) -> float:
        return 0.05 if _place(prompt) % 10 == 0 else 0.001


class UnreliableServed(Unreliable):
    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        await asyncio.sleep(self._seconds(prompt))
        return self._one(prompt, seed)


class UnreliableBatches(Unreliable):
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        time.sleep(sum(map(self._seconds, prompts)) / 10)
        return [self._one(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]


@pytest.mark.parametrize(
    ("tool", "batch"),
    [(UnreliableServed(), None), (UnreliableBatches(), None), (UnreliableBatches(), 4)],
    ids=["served", "at once", "in batches"],
)
def test_an_unreliable_tool_loses_nobody(act: Act, tool: Unreliable, batch: int | None):
    endings = Endings()
    found = act(_scripts(), tool, batch=batch, ended=endings)
    endings.check(found)
    for place, rollout in enumerate(found.rollouts):
        trajectory = rollout.trajectory
        if place % 10 in (1, 4, 7):
            assert (trajectory.ending, trajectory.error) == ("tool_failure", f"no picture {place}")
        else:
            drawn = painted(f"picture {place}", trajectory.rounds[0].seed or 0)
            assert (trajectory.ending, trajectory.pictures) == ("answer", (Picture.of(drawn),))


def test_servers_that_fail_and_dawdle_are_asked_again(act: Act):
    """Every other call fails and then comes right, one in ten takes 50 times as long."""

    def script(body: dict[str, Any], number: int) -> Answer:
        if number % 10 in (1, 4, 7):
            return Answer(status=(500, 503, 502)[number % 3])
        time.sleep(0.1 if number % 10 == 0 else 0.002)
        return right(body, number)

    endings = Endings()
    with (
        answering(script) as server,
        tool_for(server, max_attempts=20, quarantine_seconds=0.02) as tool,
    ):
        found = act(_scripts(), tool, ended=endings)
        failures = tool.counts.failures
    endings.check(found)
    for place, rollout in enumerate(found.rollouts):
        drawn = paint(f"picture {place}", rollout.trajectory.rounds[0].seed or 0)
        assert rollout.trajectory.ending == "answer"
        assert rollout.trajectory.pictures == (Picture.of(drawn),)
    assert failures >= 9
    assert len(server.requests) == COUNT + failures


def test_a_server_that_is_dead_for_a_while_is_outlived(act: Act):
    alive = threading.Event()

    def script(body: dict[str, Any], number: int) -> Answer:
        if number == 5:
            threading.Timer(0.3, alive.set).start()
        if number >= 5 and not alive.is_set():
            return Answer(status=503)
        return right(body, number)

    endings = Endings()
    with (
        answering(script) as server,
        tool_for(server, max_attempts=1000, quarantine_seconds=0.02) as tool,
    ):
        found = act(_scripts(12), tool, ended=endings)
    endings.check(found)
    assert [r.trajectory.ending for r in found.rollouts] == ["answer"] * 12
    assert tool.counts.failures > 0


def test_a_tool_that_is_dead_at_first_costs_only_those_who_asked_then(act: Act):
    class Reviving:
        def __init__(self) -> None:
            self.calls = 0

        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            self.calls += 1
            if self.calls <= 6:
                raise ToolError("dead")
            return [painted(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    endings = Endings()
    found = act(_scripts(12), Reviving(), batch=3, ended=endings)
    endings.check(found)
    # A batch and each of its pictures alone are 4 calls: one batch in whole, two of the next.
    expected = ["tool_failure"] * 4 + ["answer"] * 8
    assert [r.trajectory.ending for r in found.rollouts] == expected


@pytest.mark.timeout(60)
def test_nobody_waits_for_another_ones_picture(act: Act):
    """Three pictures come when all other trajectories have ended, and would never come if one of
    those waited for them."""
    endings = Endings()
    slow = {0, 5, 11}

    class Served:
        async def draw_one(self, prompt: str, seed: int) -> Image.Image:
            if _place(prompt) in slow:
                while len(endings.places) < 12 - len(slow):
                    await asyncio.sleep(0.001)
            return painted(prompt, seed)

    found = act(_scripts(12), Served(), ended=endings)
    endings.check(found)
    assert set(endings.places[-3:]) == slow
    assert [r.trajectory.ending for r in found.rollouts] == ["answer"] * 12


def test_a_failure_while_others_wait_ends_them_all(act: Act):
    """No trajectory of a broken run goes on behind its back."""
    went_on: list[str] = []

    class Served:
        async def draw_one(self, prompt: str, seed: int) -> Image.Image:
            if _place(prompt) == 3:
                raise ZeroDivisionError
            await asyncio.sleep(0.05)
            went_on.append(prompt)
            return painted(prompt, seed)

    with pytest.raises(ZeroDivisionError):
        act(_scripts(8), Served())
    time.sleep(0.1)
    assert went_on == []


def test_who_is_told_of_endings_is_told_while_others_run(act: Act):
    told: list[int] = []
    waiting: list[bool] = []

    class Served:
        async def draw_one(self, prompt: str, seed: int) -> Image.Image:
            while prompt == "draw one" and not told:
                waiting.append(True)
                await asyncio.sleep(0.001)
            return painted(prompt, seed)

    act([[FIRST, DONE], [calling("quick"), DONE]], Served(), ended=lambda n, _: told.append(n))
    assert told == [1, 0]
    assert waiting
