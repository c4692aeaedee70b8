"""Strategies in the miniature, with the models that ship, and one of the reader's own."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from tests.experiments.running import run

from genagent_data import PictureStore, derive_seed
from genagent_miniworld import Miniature, ScriptedModel, load_judge, weights
from genagent_policy import Policy
from genagent_rewards import ChatReply, PointQuestion
from genagent_rewards.judges import point_request
from genagent_rollout import (
    Answered,
    LocalEngine,
    SamplingConfig,
    StrategyConfig,
    answer_all,
    asking_by,
    select,
)
from genagent_worlds import measure


@pytest.mark.slow
def test_strategies_of_one_seed_meet_the_same_noise_and_repeat(tmp_path: Path):
    world = Miniature().open(tmp_path, seed=0)
    requests = world.held_out[:12]
    seeds = [derive_seed(0, request.id) for request in requests]
    store = PictureStore(tmp_path / "pictures")
    config = StrategyConfig(
        strategies=("plain", "first-prompt", "workflow", "agent", "best-of"), best_of=3
    )
    stand_in = ScriptedModel().models

    def answers() -> dict[str, list[Answered]]:
        engine = LocalEngine(Policy.load(weights("sft")), SamplingConfig())
        opened = config.open(tmp_path, engine=engine, policy="sft", stand_in=stand_in)
        return {
            name: answer_all(strategy, world.tool, requests, seeds=seeds, store=store)
            for name, strategy in zip(config.strategies, opened, strict=True)
        }

    once, again = answers(), answers()
    for name in config.strategies:
        assert [one.trajectory.pictures for one in once[name]] == [
            one.trajectory.pictures for one in again[name]
        ]
        assert [one.turns for one in once[name]] == [one.turns for one in again[name]]
    for one, other in (("plain", "workflow"), ("plain", "best-of"), ("first-prompt", "agent")):
        pairs = [
            (a.trajectory.pictures[0].image, b.trajectory.pictures[0].image)
            for a, b in zip(once[one], once[other], strict=True)
            if a.trajectory.pictures
        ]
        assert len(pairs) > 9
        # Their noise is the same; matrix products of another batch size round otherwise.
        assert max(_difference(*pair) for pair in pairs) <= 2
    # A picture that may be chosen by the truth is right at least as often as the last one.
    outcomes = measure(world, [one.trajectory for one in once["best-of"]])
    scores = [[float(passed or 0) for passed in outcome.passed] for outcome in outcomes]
    last, best = (sum(own[select(own, how)] for own in scores) for how in ("last", "best"))
    assert last < best


def test_the_shipped_judge_answers_who_asks_side_by_side_in_one_batch(tmp_path: Path):
    world = Miniature().open(tmp_path, seed=0)
    requests = world.held_out[:4]
    pictures = world.tool.generate([request.prompt for request in requests], range(4))
    store = PictureStore(tmp_path / "pictures")
    questions = [
        point_request(PointQuestion(request=one.prompt, hints=one.hints, picture=store.put(image)))
        for one, image in zip(requests, pictures, strict=True)
    ]
    judge = load_judge()
    asking = asking_by(judge)

    async def everyone() -> list[ChatReply]:
        return await asyncio.gather(
            *(asking.ask(question, accept=bool, seed=0) for question in questions)
        )

    assert asyncio.run(everyone()) == judge.reply(questions, accept=bool)


def _difference(one: Image.Image, other: Image.Image) -> int:
    """The largest of any pixel, of 255."""
    return int(np.asarray(ImageChops.difference(one, other)).max())


@pytest.mark.slow
def test_the_example_of_a_strategy_runs_and_patience_pays(tmp_path: Path):
    done = run("../examples/your_strategy.py", tmp_path)
    assert done.returncode == 0, done.stderr
    plain, patient = (
        [int(number) for number in re.findall(r"(\d+) of 24 right, (\d+) pictures", line)[0]]
        for line in done.stdout.splitlines()
    )
    assert plain[1] == 24 < patient[1]
    assert plain[0] < patient[0]
