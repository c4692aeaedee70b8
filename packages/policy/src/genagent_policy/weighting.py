"""What a trajectory counts for in a step: its advantage, and the weight of each of its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from genagent_policy.advantages import group_advantages
from genagent_policy.grpo_config import Normalization
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOGroup:
    """Attempts at one request, and what each was worth."""

    trajectories: tuple[TokenTrajectory, ...]
    rewards: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.trajectories or len(self.trajectories) != len(self.rewards):
            raise ValueError(
                f"{len(self.trajectories)} trajectories and {len(self.rewards)} rewards; "
                "wants one reward for each trajectory and at least one"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighted:
    """A trajectory with its advantage and the weight of each of its policy tokens."""

    trajectory: TokenTrajectory
    advantage: float
    token_weight: float


def weigh(groups: Sequence[GRPOGroup], *, normalization: Normalization) -> list[Weighted]:
    """The trajectories in which the policy chose something.

    ``sequence`` is the mean over a trajectory's tokens, then over its group, then over groups;
    ``token`` the mean over all tokens.
    """
    counts = [[item.num_policy_tokens for item in group.trajectories] for group in groups]
    every = sum(sum(tokens) for tokens in counts)
    weighted = []
    for group, tokens in zip(groups, counts, strict=True):
        rewards = torch.tensor(group.rewards, dtype=torch.float64)
        advantages = group_advantages(rewards).tolist()
        for trajectory, advantage, own in zip(group.trajectories, advantages, tokens, strict=True):
            if own == 0:
                continue
            shares = len(groups) * len(tokens) * own
            weight = 1 / (shares if normalization == "sequence" else every)
            weighted.append(
                Weighted(trajectory=trajectory, advantage=advantage, token_weight=weight)
            )
    return weighted


def refuse_greedy(groups: Sequence[GRPOGroup]) -> None:
    """Nothing can be learnt from trajectories at temperature 0: their ratio has no meaning.

    Raises:
        ValueError: there is one.
    """
    trajectories = [trajectory for group in groups for trajectory in group.trajectories]
    if greedy := sum(trajectory.temperature == 0 for trajectory in trajectories):
        raise ValueError(
            f"{greedy} of {len(trajectories)} trajectories were sampled at temperature 0, where "
            "other tokens have no probability; sample at more, 1 for example"
        )
