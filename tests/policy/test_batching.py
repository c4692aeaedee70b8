import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from genagent_policy import Policy, collate, mrope_positions, plan_micro_batches


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 1000))
def test_plan_holds_every_trajectory_once_within_the_budget(lengths: list[int], budget: int):
    plan = plan_micro_batches(lengths, max_tokens=budget)
    assert sorted(index for part in plan for index in part) == list(range(len(lengths)))
    for part in plan:
        longest = max(lengths[index] for index in part)
        assert len(part) == 1 or len(part) * longest <= budget


def test_plan_puts_like_lengths_together():
    assert plan_micro_batches([10, 100, 11, 99], max_tokens=200) == [[1, 3], [2, 0]]


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


def test_rows_are_padded_on_the_right_with_their_own_positions(tiny_policy: Policy):
    chat = tiny_policy.chat
    picture = Image.fromarray(np.zeros((48, 48, 3), dtype=np.uint8))
    short, long = chat.render(["no"], "a", []), chat.render(["yes", "done"], "b", [picture])
    batch = collate(
        [short, long],
        [1, 0],
        image_token_id=chat.image_token_id,
        merge_size=chat.merge_size,
        pad_id=chat.pad_id,
    )
    assert batch.ids.shape == (2, len(long))
    assert batch.ids[0].tolist() == long.ids.tolist()
    assert batch.ids[1, : len(short)].tolist() == short.ids.tolist()
    assert set(batch.ids[1, len(short) :].tolist()) == {chat.pad_id}
    assert batch.policy_mask[0].tolist() == long.policy_mask.tolist()
    assert batch.policy_mask[1, : len(short)].tolist() == short.policy_mask.tolist()
    assert not batch.policy_mask[1, len(short) :].any()
    assert batch.picture_mask.sum(dim=1).tolist() == [9, 0]
    expected, _ = mrope_positions(long.ids == chat.image_token_id, long.grids, merge_size=2)
    assert torch.equal(batch.positions[:, 0], expected)
    assert batch.positions[0, 1, : len(short)].tolist() == list(range(len(short)))
    assert torch.equal(batch.pixel_values, long.pixel_values)
