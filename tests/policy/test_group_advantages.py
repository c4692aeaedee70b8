from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genagent_policy import group_advantages

rewards_lists = st.lists(
    st.floats(min_value=-2, max_value=2, allow_nan=False).map(lambda value: round(value, 3)),
    min_size=1,
    max_size=16,
)


def test_two_passed_of_four():
    rewards = torch.tensor([0.7, 0.0, 0.7, 0.0], dtype=torch.float64)
    # mean .35, population spread .35
    expected = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64) * 0.35 / (0.35 + 1e-6)
    torch.testing.assert_close(group_advantages(rewards), expected, rtol=0, atol=1e-12)


def test_divides_by_the_population_spread():
    advantages = group_advantages(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(
        advantages, torch.tensor([3**0.5, *[-(3**-0.5)] * 3]), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("value", [0.7, 0.1, 0.85, -0.2, 1e-9])
@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_equal_rewards_have_no_advantage_at_all(value: float, size: int):
    # In float32 the mean of seven 0.7 is not 0.7.
    assert group_advantages(torch.full((size,), value)).tolist() == [0.0] * size


@given(rewards_lists)
def test_sum_is_zero_and_order_is_kept(rewards: list[float]):
    advantages = group_advantages(torch.tensor(rewards, dtype=torch.float64)).tolist()
    assert abs(sum(advantages)) < 1e-6
    ranked = sorted(zip(rewards, advantages, strict=True))
    for (low, of_low), (high, of_high) in pairwise(ranked):
        assert of_low == of_high if low == high else of_low < of_high


@given(rewards_lists, st.floats(min_value=-3, max_value=3))
def test_adding_a_constant_changes_nothing(rewards: list[float], shift: float):
    exact = torch.tensor(rewards, dtype=torch.float64)
    torch.testing.assert_close(
        group_advantages(exact + shift), group_advantages(exact), rtol=1e-5, atol=1e-6
    )


@given(rewards_lists.filter(lambda rewards: max(rewards) - min(rewards) > 0.01))
def test_spread_is_one(rewards: list[float]):
    advantages = group_advantages(torch.tensor(rewards, dtype=torch.float64))
    assert advantages.std(correction=0).item() == pytest.approx(1.0, abs=1e-3)


@given(rewards_lists)
def test_without_a_scale_it_is_the_distance_from_the_mean(rewards: list[float]):
    exact = torch.tensor(rewards, dtype=torch.float64)
    mean = sum(rewards) / len(rewards)
    found = group_advantages(exact, scale="none").tolist()
    assert found == pytest.approx([reward - mean for reward in rewards], abs=1e-12)
    if len(set(rewards)) == 1:
        assert found == [0.0] * len(rewards)


def test_whole_numbers_are_rewards_too():
    assert group_advantages(torch.tensor([0, 1])).dtype == torch.float32


@pytest.mark.parametrize("rewards", [[], [1.0, float("nan")], [float("inf")]])
def test_refuses_what_is_no_reward(rewards: list[float]):
    with pytest.raises(ValueError, match="rewards"):
        group_advantages(torch.tensor(rewards))
