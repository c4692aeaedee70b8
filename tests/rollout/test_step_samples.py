"""Samples a step ahead are those of the weights that the step before began from, also later on."""

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest
import torch
from tests.judge_server import YES, Answer, ask, chat_for, serving
from tests.rollout.painting import FIRST, painted, requests
from tests.waiting import until

from genagent_data import PictureStore
from genagent_policy import Policy, TokenTrajectory
from genagent_rollout import EngineConfig, LocalEngine, SamplingConfig, StepSamples, run_agents
from genagent_rollout.copied_engine import CopiedEngine
from genagent_rollout.judging import judging_threads

CACHE = EngineConfig(cache_gib=0.1)
SHORT = SamplingConfig(max_turn_tokens=6)


class Nothing:
    """A learner that keeps nothing of its own."""

    def save(self, folder: Path) -> None:
        (folder / "learner").write_text("saved")

    def restore(self, folder: Path) -> None:
        assert (folder / "learner").read_text() == "saved"


class Forgetful:
    """An engine that counts its publications."""

    def __init__(self) -> None:
        self.published = 0

    def open(self, prompt: str, *, seed: int, first_seed: int | None = None):
        raise NotImplementedError

    def publish(self) -> None:
        self.published += 1


def learn(policy: Policy, step: int) -> None:
    """What the update of a step does."""
    with torch.no_grad():
        for number, weight in enumerate(policy.trainable_parameters()):
            generator = torch.Generator().manual_seed(1000 * step + number)
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))


def after(path: Path, steps: int) -> Policy:
    """The policy after so many updates."""
    policy = Policy.load(path)
    policy.freeze_vision()
    for step in range(steps):
        learn(policy, step)
    return policy


def sampled(engine, step: int) -> TokenTrajectory:
    async def turn() -> TokenTrajectory:
        conversation = engine.open("three blue circles", seed=step)
        await conversation.turn()
        try:
            return conversation.tokens()
        finally:
            conversation.close()

    return asyncio.run(turn())


def same(found: TokenTrajectory, wanted: TokenTrajectory) -> bool:
    return found.ids.equal(wanted.ids) and found.logprobs.equal(wanted.logprobs)


@pytest.mark.parametrize("looks", [False, True])
def test_a_step_is_sampled_with_the_weights_before_and_so_it_is_after_a_resume(
    tiny_policy_path: Path, tmp_path: Path, looks: bool
):
    """Also where an evaluation before it wants the weights as they are by then."""

    def look(samples: StepSamples[TokenTrajectory], engine: CopiedEngine, step: int) -> None:
        if looks and step:
            samples.settle(step)
            now = LocalEngine(after(tiny_policy_path, step), SHORT, CACHE)
            assert same(sampled(engine, 9), sampled(now, 9))

    wanted = [
        sampled(LocalEngine(after(tiny_policy_path, max(step - 1, 0)), SHORT, CACHE), step)
        for step in range(4)
    ]
    fresh = sampled(LocalEngine(after(tiny_policy_path, 2), SHORT, CACHE), 2)
    assert not same(wanted[2], fresh)

    policy = after(tiny_policy_path, 0)
    engine = CACHE.open(policy, SHORT, tmp_path, ahead=True)
    assert isinstance(engine, CopiedEngine)
    staleness = []
    with StepSamples(sampled, engine, steps=4, ahead=True) as samples:
        learner = samples.kept_with(Nothing())
        for step in range(4):
            look(samples, engine, step)
            assert same(samples.take(step), wanted[step])
            staleness.append(samples.metrics()["rollout/staleness"])
            with samples.learning(step):
                learn(policy, step)
            (tmp_path / str(step + 1)).mkdir()
            learner.save(tmp_path / str(step + 1))
        samples.catch_up()
        now = sampled(LocalEngine(after(tiny_policy_path, 4), SHORT, CACHE), 9)
        assert same(sampled(engine, 9), now)
    assert staleness == [0, 1, 1, 1]

    policy = after(tiny_policy_path, 2)
    engine = CACHE.open(policy, SHORT, tmp_path, ahead=True)
    assert isinstance(engine, CopiedEngine)
    with StepSamples(sampled, engine, steps=4, ahead=True) as samples:
        samples.kept_with(Nothing()).restore(tmp_path / "2")
        for step in (2, 3):
            look(samples, engine, step)
            assert same(samples.take(step), wanted[step])
            assert samples.metrics()["rollout/staleness"] == 1
            with samples.learning(step):
                learn(policy, step)

    # What an evaluation had given the engine is kept for no sample.
    engine = CACHE.open(after(tiny_policy_path, 2), SHORT, tmp_path, ahead=True)
    with StepSamples(sampled, engine, steps=4, ahead=True) as samples:
        learner = samples.kept_with(Nothing())
        learner.restore(tmp_path / "2")
        samples.settle(2)
        (tmp_path / "settled").mkdir()
        learner.save(tmp_path / "settled")
    assert not (tmp_path / "settled" / "sampler.pt").exists()

    # A state of a run without the option goes on with what it has.
    (tmp_path / "2" / "sampler.pt").unlink()
    engine = CACHE.open(after(tiny_policy_path, 2), SHORT, tmp_path, ahead=True)
    with StepSamples(sampled, engine, steps=3, ahead=True) as samples:
        samples.kept_with(Nothing()).restore(tmp_path / "2")
        assert same(samples.take(2), fresh)
        assert samples.metrics()["rollout/staleness"] == 0


def test_without_the_option_a_step_is_sampled_when_it_begins_on_the_callers_thread():
    engine, made = Forgetful(), []
    with StepSamples(
        lambda _, step: made.append((step, threading.current_thread())), engine, steps=2
    ) as samples:
        for step in range(2):
            samples.take(step)
            with samples.learning(step):
                assert (len(made), engine.published) == (step + 1, step)
        samples.catch_up()
    assert made == [(0, threading.main_thread()), (1, threading.main_thread())]
    assert engine.published == 2
    assert samples.metrics() == {}
    learner = Nothing()
    assert samples.kept_with(learner) is learner


def test_the_next_step_is_sampled_during_the_update_and_its_failure_comes_with_it():
    begun, learnt = threading.Event(), threading.Event()

    def make(_, step: int) -> int:
        if step:
            begun.set()
            assert learnt.wait(30)
            raise OSError("the tool is gone")
        return step

    with StepSamples(make, Forgetful(), steps=5, ahead=True) as samples:
        assert samples.take(0) == 0
        with samples.learning(0):
            assert begun.wait(30)
            learnt.set()
        with pytest.raises(OSError, match="the tool is gone"):
            samples.take(1)


def test_what_waits_for_a_picture_is_given_up_at_once_and_quietly(
    tiny_policy: Policy, scripted, tmp_path: Path, caplog
):
    asked = threading.Event()

    class Deaf:
        async def draw_one(self, prompt: str, seed: int):
            asked.set()
            await asyncio.sleep(3600)
            return painted(prompt, seed)

        def generate(self, prompts, seeds):
            raise NotImplementedError

    turns = tiny_policy.chat.turn_ids(FIRST)

    def make(engine, step: int):
        return run_agents(
            engine,
            Deaf(),
            requests(3),
            seeds=range(3),
            max_rounds=2,
            store=PictureStore(tmp_path),
        )

    engine = scripted([[turns]] * 3)
    stopped = 0.0
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(KeyboardInterrupt),
        StepSamples(make, engine, steps=2, ahead=True) as samples,
        samples.learning(-1),
    ):
        assert asked.wait(60)
        stopped = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - stopped < 5
    assert caplog.records == []
    assert not [one for one in threading.enumerate() if one.name.startswith("sampling-ahead")]


def test_a_judge_that_hangs_is_not_waited_for_where_the_run_ends():
    go_on = threading.Event()

    def hangs(body, number: int) -> Answer:
        go_on.wait(60)
        return YES

    with serving(hangs) as server:
        chat, stopped = chat_for(server.url), 0.0

        def make(engine, step: int) -> int:
            with judging_threads() as threads:
                return len(threads.submit(ask, chat).result())

        with (
            pytest.raises(KeyboardInterrupt),
            StepSamples(make, Forgetful(), steps=2, ahead=True) as samples,
            samples.learning(-1),
        ):
            until(lambda: server.requests)
            stopped = time.monotonic()
            raise KeyboardInterrupt
        # An attempt has 20 s.
        assert time.monotonic() - stopped < 10
        go_on.set()
