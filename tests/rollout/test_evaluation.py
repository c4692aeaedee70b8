"""Attempts of a step and of an evaluation, with a real engine."""

from pathlib import Path

from PIL import Image

from genagent_data import PictureStore, Request, derive_seed
from genagent_policy import Policy
from genagent_rewards import Verdict
from genagent_rollout import GroupConfig, LocalEngine, SamplingConfig, evaluate, sample_groups
from genagent_worlds import Judges, World


class Painter:
    def generate(self, prompts, seeds):
        return [Image.new("RGB", (48, 48), "red") for _ in prompts]


class Yes:
    def judge(self, questions) -> list[Verdict | None]:
        return [Verdict(choice="yes", reason="", judge="yes") for _ in questions]

    def compare(self, questions):
        raise AssertionError("an evaluation compares nothing")


def test_seeds_of_a_step_are_its_own_and_samples_are_side_by_side(
    tiny_policy: Policy, tmp_path: Path
):
    engine = LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=4))
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]
    batches = [
        sample_groups(
            engine,
            Painter(),
            requests,
            GroupConfig(samples=3, keep=2),
            seed=5,
            step=step,
            pictures=PictureStore(tmp_path),
        ).rollouts
        for step in (0, 1)
    ]
    assert [r.trajectory.request.id for r in batches[0]] == ["a"] * 3 + ["b"] * 3
    assert [r.seed for r in batches[1]] == [derive_seed(5, "rollout", 1, i) for i in range(6)]
    assert [r.turns for r in batches[0]] != [r.turns for r in batches[1]]


def test_an_evaluation_samples_as_its_engine_is_told(tiny_policy: Policy, tmp_path: Path):
    judges = Judges(point=Yes(), pair=Yes())
    world = World(train=None, held_out=(), tool=Painter(), judges=judges)  # pyright: ignore[reportArgumentType]
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]
    sampled = []
    for limit in (3, 9):
        engine = LocalEngine(tiny_policy, SamplingConfig(max_turn_tokens=limit))
        answered: list[tuple[int, int]] = []
        outcomes = evaluate(
            engine,
            world,
            requests,
            seed=3,
            max_rounds=1,
            pictures=PictureStore(tmp_path),
            progress=lambda done, total, told=answered: told.append((done, total)),
        )
        assert answered == [(1, 2), (2, 2)]
        assert [outcome.request.id for outcome in outcomes] == ["a", "b"]
        assert {outcome.source for outcome in outcomes} == {"judge"}
        sampled.append(engine.counts.decoded_tokens)
        # A random policy's words are no call: cut off at the engine's own limit.
        assert {outcome.trajectory.error for outcome in outcomes} == {"cut_off"}
    assert sampled == [2 * 3, 2 * 9]
