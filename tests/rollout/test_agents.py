"""Many trajectories from ordinary code: what is refused, what repeats, what an error leaves."""

import asyncio
import gc
import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.conversations import SAMPLED, cache_of
from tests.rollout.painting import AGAIN, DONE, FIRST, Painter, painted, requests

from genagent_data import Picture, PictureStore
from genagent_policy import Policy
from genagent_rollout import (
    EngineConfig,
    LocalEngine,
    RolloutBatch,
    SamplingConfig,
    SeededSampler,
    run_agents,
)
from genagent_rollout.activity import Activity
from genagent_rollout.sequence import Sequence as EngineSequence

Act = Callable[..., RolloutBatch]
SMALL = EngineConfig(cache_gib=0.1)


def test_refuses_what_does_not_fit(tiny_policy: Policy, tmp_path: Path):
    engine, store = LocalEngine(tiny_policy), PictureStore(tmp_path)
    with pytest.raises(ValueError, match="2 requests and 1 seeds"):
        run_agents(engine, Painter(), requests(2), seeds=[0], max_rounds=1, store=store)
    with pytest.raises(ValueError, match="2 requests and 2 seeds, 1 of first turns"):
        few = {"seeds": [0, 1], "first_seeds": [7], "max_rounds": 1, "store": store}
        run_agents(engine, Painter(), requests(2), **few)
    with pytest.raises(ValueError, match="max_rounds is 0"):
        run_agents(engine, Painter(), requests(1), seeds=[0], max_rounds=0, store=store)
    assert run_agents(engine, Painter(), [], seeds=[], max_rounds=1, store=store).rollouts == ()


class Dawdling(Painter):
    """Takes a time that nobody foresees."""

    noise = random.Random()

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        time.sleep(self.noise.random() * 0.02)
        return super().generate(prompts, seeds)


@pytest.mark.parametrize("batch", [None, 3])
def test_two_runs_give_the_same_bits(act: Act, tiny_policy: Policy, batch: int | None):
    """Turns of many lengths, some chosen by the policy, and pictures drawn while others speak."""
    end = tiny_policy.chat.turn_end_id
    scripts = [
        [FIRST, AGAIN, [*[SAMPLED] * 6, end]],
        [[*[SAMPLED] * 30, end]],
        [FIRST, [*[SAMPLED] * 9, end]],
        [FIRST, DONE],
        [FIRST, AGAIN, [*[SAMPLED] * 3, end]],
        [FIRST, DONE],
        [FIRST, [*[SAMPLED] * 20, end]],
    ]
    tools = Dawdling(), Dawdling()
    first, second = (act(scripts, tool, batch=batch).rollouts for tool in tools)
    assert tools[0].calls == tools[1].calls
    assert len(tools[0].calls) > 2 or batch is None
    for one, other in zip(first, second, strict=True):
        assert one.turns == other.turns
        assert one.trajectory.pictures == other.trajectory.pictures
        assert torch.equal(one.tokens.ids, other.tokens.ids)
        assert torch.equal(one.tokens.logprobs, other.tokens.logprobs)


def test_where_a_loop_runs_already_as_in_a_notebook_it_is_the_same(act: Act):
    async def cell() -> RolloutBatch:
        return act([[FIRST, AGAIN, DONE], [FIRST, DONE]])

    within, plain = asyncio.run(cell()), act([[FIRST, AGAIN, DONE], [FIRST, DONE]])
    assert [one.turns for one in within.rollouts] == [one.turns for one in plain.rollouts]
    assert [len(one.trajectory.pictures) for one in within.rollouts] == [2, 1]


def test_equal_requests_by_other_seeds_go_other_ways(act: Act, tiny_policy: Policy):
    script = [FIRST, [*[SAMPLED] * 6, tiny_policy.chat.turn_end_id]]
    first, second = act([script, script]).rollouts
    assert first.trajectory.request.prompt == second.trajectory.request.prompt
    assert first.turns[1] != second.turns[1]
    assert first.trajectory.pictures != second.trajectory.pictures


class Failing(SeededSampler):
    """Chooses so many times."""

    def __init__(self, config: SamplingConfig, error: BaseException, times: int) -> None:
        super().__init__(config)
        self.error = error
        self.times = times

    def choose(
        self, logits: torch.Tensor, sequences: Sequence[EngineSequence]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.times -= 1
        if self.times == -1:
            raise self.error
        return super().choose(logits, sequences)


@pytest.mark.parametrize("times", [0, 3])
def test_a_step_that_fails_reaches_every_turn(tiny_policy: Policy, times: int):
    error = torch.OutOfMemoryError("CUDA out of memory")
    config = SamplingConfig(max_turn_tokens=8)
    engine = LocalEngine(tiny_policy, config, SMALL, sampler=Failing(config, error, times))

    async def run() -> None:
        talks = [engine.open(prompt, seed=seed) for seed, prompt in enumerate(["a", "a", "b"])]
        turns = [asyncio.ensure_future(talk.turn()) for talk in talks]
        assert await asyncio.gather(*turns, return_exceptions=True) == [error] * 3
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # The engine goes on with others, and with the same prompts.
        again = [engine.open(prompt, seed=seed) for seed, prompt in enumerate(["a", "a", "b"])]
        found = await asyncio.gather(*(talk.turn() for talk in again))
        fresh = LocalEngine(tiny_policy, config, SMALL)
        whole = [fresh.open(prompt, seed=seed) for seed, prompt in enumerate(["a", "a", "b"])]
        assert found == await asyncio.gather(*(talk.turn() for talk in whole))

    asyncio.run(run())


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), KeyboardInterrupt(), SystemExit(3)]
)
@pytest.mark.parametrize("times", [0, 30])
def test_a_run_ends_by_the_very_error_and_leaves_nothing(
    tiny_policy: Policy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    times: int,
):
    config = SamplingConfig(max_turn_tokens=40)
    engine = LocalEngine(tiny_policy, config, SMALL, sampler=Failing(config, error, times))
    store = PictureStore(tmp_path)

    def run(engine: LocalEngine) -> RolloutBatch:
        return run_agents(engine, Painter(), requests(4), seeds=range(4), max_rounds=1, store=store)

    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        with pytest.raises(type(error)) as caught:
            run(engine)
        assert caught.value is error
        caught = None
        gc.collect()
    # Neither a task that was pending nor an error that nobody has seen.
    assert [r.message for r in caplog.records if r.levelno > logging.DEBUG] == []
    again, fresh = run(engine).rollouts, run(LocalEngine(tiny_policy, config, SMALL)).rollouts
    assert [r.turns for r in again] == [r.turns for r in fresh]


def test_a_picture_that_cannot_be_taken_in_reaches_who_waits(
    scripted: Callable[..., ScriptedEngine], tiny_policy: Policy
):
    """Such as one whose file is gone."""
    end = tiny_policy.chat.turn_end_id
    engine = scripted([[[7, end]] * 2])
    gone = Picture("gone", path=Path("/nowhere/gone.png"))

    async def run() -> None:
        conversation = engine.open("red", seed=0)
        await conversation.turn()
        conversation.observe(gone)
        with pytest.raises(FileNotFoundError):
            await asyncio.wait_for(conversation.turn(), 10)

    asyncio.run(run())


def test_a_conversation_that_could_outgrow_the_cache_is_refused_at_once(
    scripted: Callable[..., ScriptedEngine], tiny_policy: Policy
):
    config = cache_of(tiny_policy, 10)
    prompt = len(tiny_policy.chat.prompt_ids("red"))
    fits = scripted([], config=config, max_response_tokens=160 - prompt)
    fits.open("red", seed=0).close()
    tight = scripted([], config=config, max_response_tokens=161 - prompt)
    words = (
        rf"may grow to 161 tokens \(a prompt of {prompt} and max_response_tokens {161 - prompt}\), "
        "and the cache holds 160; raise --engine.cache-gib"
    )
    with pytest.raises(ValueError, match=words):
        tight.open("red", seed=0)
    with pytest.raises(ValueError, match=r"a page of 16 tokens takes .*; give more"):
        scripted([], config=cache_of(tiny_policy, 0))


def test_it_is_said_what_is_waited_for_when_nothing_moves(caplog: pytest.LogCaptureFixture):
    activity = Activity()
    with caplog.at_level(logging.WARNING, logger="genagent_rollout"):
        waits = activity.turns.one(), activity.picture(), activity.picture()
        with activity.watched(0.05), waits[0], waits[1], waits[2]:
            deadline = time.monotonic() + 10
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.005)
        said = caplog.records[0].message
        assert said == (
            "no turn and no picture has come for 0.05 s; 1 turns and 2 pictures are waited for"
        )
        caplog.clear()
        # While something moves, nothing is said: turns, or pictures of a batch under way.
        with activity.watched(0.2):
            for _ in range(30):
                with activity.turns.one():
                    time.sleep(0.01)
            for _ in range(30):
                activity.count_pictures(1)
                time.sleep(0.01)
        assert caplog.records == []


def test_seconds_are_those_in_which_anything_was_waited_for():
    activity = Activity()
    with activity.pictures.one(), activity.pictures.one():
        time.sleep(0.02)
    once = activity.pictures.seconds
    assert once >= 0.02
    time.sleep(0.02)
    assert activity.pictures.seconds == once
    assert activity.turns.seconds == 0
    assert (activity.pictures.now, activity.pictures.ended) == (0, 2)


def test_pictures_of_a_run_are_on_disk(act: Act, tmp_path: Path):
    (rollout,) = act([[FIRST, DONE]]).rollouts
    (shown,) = rollout.trajectory.pictures
    expected = painted("draw one", rollout.trajectory.rounds[0].seed or 0)
    assert PictureStore(tmp_path).get(shown.name).image.tobytes() == expected.tobytes()
