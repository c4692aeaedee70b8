import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from genagent_policy import Policy, mrope_positions, plan_micro_batches
from genagent_policy.batching import micro_batch_fill


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 1000))
def test_plan_holds_every_trajectory_once_within_the_budget(lengths: list[int], budget: int):
    plan = plan_micro_batches(lengths, max_tokens=budget)
    assert sorted(index for part in plan for index in part) == list(range(len(lengths)))
    tokens = [sum(lengths[index] for index in part) for part in plan]
    assert all(len(part) == 1 or n <= budget for part, n in zip(plan, tokens, strict=True))
    # No two of them would fit into one.
    assert all(a + b > budget for i, a in enumerate(tokens) for b in tokens[:i])
    assert micro_batch_fill(tokens, max_tokens=budget) > 0.5 or len(plan) < 2


def test_plan_puts_each_where_there_is_room():
    assert plan_micro_batches([10, 100, 11, 99], max_tokens=200) == [[1, 3], [2, 0]]
    assert plan_micro_batches([60, 20, 50, 30, 300], max_tokens=100) == [[4], [0, 3], [2, 1]]


def test_fill_is_the_share_of_the_budget():
    assert micro_batch_fill([90, 70], max_tokens=100) == 0.8
    assert micro_batch_fill([300, 100], max_tokens=100) == 1
    assert micro_batch_fill([], max_tokens=100) == 0


def test_plan_keeps_temperatures_apart():
    lengths, temperatures = [10, 100, 11, 99, 12], [1.0, 0.5, 1.0, 1.0, 0.5]
    plan = plan_micro_batches(lengths, max_tokens=10_000, temperatures=temperatures)
    assert plan == [[1, 4], [3, 2, 0]]


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 1000))
def test_plan_of_one_temperature_is_that_of_none(lengths: list[int], budget: int):
    plain = plan_micro_batches(lengths, max_tokens=budget)
    assert (
        plan_micro_batches(lengths, max_tokens=budget, temperatures=[0.7] * len(lengths)) == plain
    )


def test_plan_refuses_an_empty_budget():
    with pytest.raises(ValueError, match="max_tokens is 0"):
        plan_micro_batches([1], max_tokens=0)


def test_trajectories_stand_one_behind_the_other_with_positions_of_their_own(tiny_policy: Policy):
    chat = tiny_policy.chat
    picture = Image.fromarray(np.zeros((48, 48, 3), dtype=np.uint8))
    short, long = chat.render(["no"], "a", []), chat.render(["yes", "done"], "b", [picture])
    batch = tiny_policy.collate([long, short])
    assert batch.lengths == (len(long), len(short))
    assert batch.ids.tolist() == [*long.ids.tolist(), *short.ids.tolist()]
    assert batch.policy_mask.tolist() == [*long.policy_mask.tolist(), *short.policy_mask.tolist()]
    assert batch.picture_mask.sum() == batch.picture_mask[: len(long)].sum() == 9
    expected, _ = mrope_positions(long.ids == chat.image_token_id, long.grids, merge_size=2)
    assert torch.equal(batch.positions[:, : len(long)], expected)
    assert batch.positions[0, len(long) :].tolist() == list(range(len(short)))
    assert torch.equal(batch.pixel_values, long.pixel_values)
    owners = [0] * long.num_policy_tokens + [1] * short.num_policy_tokens
    assert batch.owners().tolist() == owners
