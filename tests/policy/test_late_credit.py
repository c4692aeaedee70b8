"""Credit by turn against the loss written out, one token at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.attempts import gradient_of, logits_of, sampled_groups

from genagent_policy import (
    GRPOConfig,
    GRPOGroup,
    GRPOUpdate,
    Policy,
    TokenTrajectory,
    late_advantages,
)
from genagent_policy.weighting import weigh

LATE = st.lists(st.sampled_from([None, 0.0, 0.15, 0.3]), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def policy(tiny_policy_path: Path) -> Policy:
    """For tests that fill in gradients but take no step."""
    return Policy.load(tiny_policy_path)


def spread(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, (sum((one - mean) ** 2 for one in values) / len(values)) ** 0.5


@given(late=LATE)
def test_late_advantages_are_those_of_the_ones_that_have_a_pair(late):
    found = late_advantages(late)
    present = [one for one in late if one is not None]
    for reward, advantage in zip(late, found, strict=True):
        if reward is None or len(set(present)) == 1:
            assert advantage == 0.0
        else:
            mean, deviation = spread(present)
            assert advantage == pytest.approx((reward - mean) / (deviation + 1e-6))


def with_late(policy: Policy) -> list[GRPOGroup]:
    """One of each group has no late reward."""
    first, second = sampled_groups(policy, drift=0.4)
    assert any(len(one.grids) == 2 for one in first.trajectories + second.trajectories)
    return [
        replace(first, late_rewards=(0.3, None, 0.15, 0.0)),
        replace(second, late_rewards=(0.0, 0.3, None)),
    ]


def loss_by_hand(policy: Policy, groups: list[GRPOGroup], config: GRPOConfig) -> torch.Tensor:
    total = torch.zeros(())
    for group in groups:
        mean, deviation = spread(list(group.rewards))
        late = [one for one in group.late_rewards or () if one is not None]
        late_mean, late_deviation = spread(late)
        if config.scale_rewards == "none":
            deviation = late_deviation = 1.0 - 1e-6
        for place, trajectory in enumerate(group.trajectories):
            whole = (group.rewards[place] - mean) / (deviation + 1e-6)
            own = (group.late_rewards or ())[place]
            later = 0.0 if own is None else (own - late_mean) / (late_deviation + 1e-6)
            scores = torch.log_softmax(logits_of(policy, trajectory), dim=-1)
            places = trajectory.policy_mask.nonzero().flatten().tolist()
            pictures = (trajectory.ids == policy.chat.image_token_id) & ~trajectory.policy_mask
            for token in places:
                looked = bool(pictures[:token].any())
                advantage = whole + later if looked else whole
                new = scores[token - 1, trajectory.ids[token]]
                ratio = (new - trajectory.logprobs[token]).exp()
                clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
                surrogate = torch.minimum(ratio * advantage, clipped * advantage)
                total = total - surrogate / (len(groups) * len(group.rewards) * len(places))
    return total


@pytest.mark.parametrize("scale", ["group", "none"])
def test_loss_and_gradient_are_those_of_two_advantages(policy: Policy, scale: str):
    config = GRPOConfig(micro_batch_tokens=300, scale_rewards=scale)  # pyright: ignore[reportArgumentType]
    policy.model.zero_grad(set_to_none=True)
    groups = with_late(policy)
    found = GRPOUpdate(policy, config).accumulate(groups)
    gradient = gradient_of(policy)
    policy.model.zero_grad(set_to_none=True)
    expected = loss_by_hand(policy, groups, config)
    expected.backward()
    assert found.loss == pytest.approx(expected.item(), abs=1e-5)
    assert gradient.norm() > 0.1
    torch.testing.assert_close(gradient, gradient_of(policy), rtol=1e-3, atol=2e-5)


def test_equal_late_rewards_change_nothing_and_who_has_no_advantage_is_not_run(policy: Policy):
    groups = sampled_groups(policy, drift=0.4)
    plain = GRPOUpdate(policy, GRPOConfig()).accumulate(groups)
    expected = gradient_of(policy)
    equal = [
        replace(group, late_rewards=(0.3,) * (len(group.rewards) - 1) + (None,)) for group in groups
    ]
    same = GRPOUpdate(policy, GRPOConfig()).accumulate(equal)
    assert same.loss == plain.loss
    assert torch.equal(gradient_of(policy), expected)
    # The third of the second group stands at the mean of its rewards.
    assert same.trajectories == plain.trajectories == 6
    level = [
        GRPOGroup(
            trajectories=group.trajectories,
            rewards=(0.7,) * len(group.rewards),
            late_rewards=(0.3,) * len(group.rewards),
        )
        for group in groups
    ]
    assert not any(group.teaches for group in level)
    assert GRPOUpdate(policy, GRPOConfig()).accumulate(level).trajectories == 0
    only_late = [replace(level[0], late_rewards=(0.3, None, 0.0, None)), level[1]]
    assert only_late[0].teaches
    assert GRPOUpdate(policy, GRPOConfig()).accumulate(only_late).trajectories == 2


def turns(mask: list[int], *, given_turns: int = 0) -> TokenTrajectory:
    return TokenTrajectory(
        ids=torch.arange(len(mask)),
        policy_mask=torch.tensor(mask, dtype=torch.bool),
        logprobs=torch.zeros(len(mask)),
        pixel_values=torch.zeros(0, 12, dtype=torch.uint8),
        grids=torch.zeros(0, 3, dtype=torch.int64),
        given_turns=given_turns,
    )


def test_turns_are_numbered_within_each_trajectory_those_included_that_left_its_mask():
    assert turns([0, 1, 1, 0, 1]).turns.tolist() == [0, 0, 1]
    assert turns([0, 0, 1, 1, 1]).turns.tolist() == [0, 0, 0]
    assert turns([0, 0, 0, 1, 0, 1], given_turns=1).turns.tolist() == [1, 2]


def test_every_token_of_a_shared_beginning_counts_as_late():
    group = GRPOGroup(
        trajectories=(turns([0, 0, 0, 1, 1], given_turns=1), turns([0, 1, 0, 1, 1])),
        rewards=(1.0, 0.0),
        late_rewards=(0.0, 0.3),
    )
    first, second = (item.token_advantages() for item in weigh([group], GRPOConfig()))
    assert first.tolist() == pytest.approx([0.0, 0.0], abs=1e-4)  # 1 - 1
    assert second.tolist() == pytest.approx([-1.0, 0.0, 0.0], abs=1e-4)


def test_there_is_a_late_reward_for_each_or_for_none():
    with pytest.raises(ValueError, match="1 late rewards and 2 rewards"):
        GRPOGroup(
            trajectories=(turns([0, 1]), turns([0, 1])), rewards=(0.0, 1.0), late_rewards=(0.3,)
        )
