"""Groups of attempts: who is kept, who is learnt from, and that it depends on nothing else."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genagent_data import Picture, PictureStore, Request, Round, Trajectory, derive_seed
from genagent_policy import Policy, TokenTrajectory
from genagent_rewards import RewardBreakdown, RewardRecord, Verdict
from genagent_rollout import (
    GroupConfig,
    Rollout,
    RolloutEngine,
    SamplingConfig,
    cases_of,
    evaluate,
    groups_of,
    keep_even,
    sample_groups,
)
from genagent_worlds import Judges, World

PICTURE = Picture.of(Image.new("RGB", (2, 2)))


def rollout(number: int, rounds: int = 1, *, ending="answer", request: str = "r") -> Rollout:
    drawn = (Round(thinking="t", tool_prompt="p", picture=PICTURE),) * rounds
    tokens = TokenTrajectory(
        ids=torch.tensor([1, number]),
        policy_mask=torch.tensor([False, True]),
        logprobs=torch.zeros(2),
        pixel_values=torch.zeros(0, 4),
        grids=torch.zeros(0, 3, dtype=torch.int64),
    )
    trajectory = Trajectory(
        request=Request(id=request, prompt="a"),
        rounds=drawn,
        ending=ending,
    )
    return Rollout(trajectory=trajectory, tokens=tokens, turns=("t",), seed=number)


def record(total: float | None) -> RewardRecord:
    breakdown = None if total is None else RewardBreakdown(total=total, point=0, pair=0, format=0)
    return RewardRecord(breakdown=breakdown, point_verdict=None)


@given(
    rounds=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    seed=st.integers(0, 5),
    step=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_each_request_keeps_its_own_attempts_with_even_rounds(rounds, seed, step):
    config = GroupConfig(samples=6, keep=4)
    attempts = [rollout(i, count, request=str(i // 6)) for i, count in enumerate(rounds)]
    kept = keep_even(attempts, config, seed=seed, step=step)
    assert [r.trajectory.request.id for r in kept] == ["0"] * 4 + ["1"] * 4
    assert [r.seed for r in kept] == [
        r.seed for r in keep_even(attempts, config, seed=seed, step=step)
    ]
    for group in range(2):
        there = rounds[6 * group : 6 * group + 6]
        chosen = [len(r.trajectory.rounds) for r in kept[4 * group : 4 * group + 4]]
        counts = {count: chosen.count(count) for count in set(there)}
        for count, number in counts.items():
            # Another count has two more only where this one has no more to give.
            more = any(other >= number + 2 for other in counts.values())
            assert not more or number == there.count(count)


def test_absent_rewards_and_failed_tools_leave_their_group_and_an_empty_group_goes():
    kept = [rollout(0), rollout(1), rollout(2, ending="tool_failure"), rollout(3)]
    kept += [rollout(4), rollout(5, ending="tool_failure")]
    records = [record(1.0), record(None), record(0.5), record(0.0), record(None), record(1.0)]
    groups = groups_of(kept, records, GroupConfig(samples=2, keep=2))
    assert [group.rewards for group in groups] == [(1.0,), (0.0,)]
    assert groups[0].trajectories == (kept[0].tokens,)


def test_cases_are_told_apart_by_the_rollouts_seed():
    first, second = cases_of([rollout(7, 2), rollout(8)])
    assert (first.id, second.id) == ("r/7", "r/8")
    assert first.pictures == (PICTURE, PICTURE)
    assert not first.format_error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 4}, "cannot keep 8 of 4 samples"),
        ({"max_rounds": 0}, "max_rounds is 0"),
        ({"requests_per_step": 0}, "requests_per_step is 0"),
        ({"keep": 0}, "keep is 0"),
    ],
)
def test_sizes_that_cannot_be_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GroupConfig(**options)


class Painter:
    def generate(self, prompts, seeds):
        return [Image.new("RGB", (48, 48), "red") for _ in prompts]


class Yes:
    def judge(self, questions):
        return [Verdict(choice="yes", reason="", judge="yes") for _ in questions]

    def compare(self, questions):
        raise AssertionError("an evaluation compares nothing")


def test_seeds_of_a_step_are_its_own_and_samples_are_side_by_side(
    tiny_policy: Policy, tmp_path: Path
):
    engine = RolloutEngine(tiny_policy, SamplingConfig(max_turn_tokens=4))
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


def test_an_evaluation_samples_as_its_engine_is_told_and_asks_the_judge(
    tiny_policy: Policy, tmp_path: Path
):
    judges = Judges(point=Yes(), pair=Yes())
    world = World(train=None, held_out=(), tool=Painter(), judges=judges)  # pyright: ignore[reportArgumentType]
    requests = [Request(id=name, prompt=name) for name in ("a", "b")]
    lengths = []
    for limit in (3, 9):
        engine = RolloutEngine(tiny_policy, SamplingConfig(max_turn_tokens=limit))
        outcomes = evaluate(
            engine, world, requests, seed=1, max_rounds=1, pictures=PictureStore(tmp_path)
        )
        assert [outcome.request.id for outcome in outcomes] == ["a", "b"]
        assert {outcome.source for outcome in outcomes} == {"judge"}
        lengths.append(engine.config.max_turn_tokens)
        # A random policy's words are no call: cut off at the engine's own limit.
        assert {outcome.trajectory.error for outcome in outcomes} == {"cut_off"}
    assert lengths == [3, 9]
