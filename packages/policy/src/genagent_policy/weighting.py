"""What a trajectory counts for in a step: its advantage, and the weight of each of its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.advantages import group_advantages
from genagent_policy.grpo_config import GRPOConfig
from genagent_policy.late_credit import late_advantages
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOGroup:
    """Attempts at one request, and what each was worth."""

    trajectories: tuple[TokenTrajectory, ...]
    rewards: tuple[float, ...]
    late_rewards: tuple[float | None, ...] | None = None
    """What is credited to the tokens from the first look on alone, beside ``rewards``, see
    ``late_credit``; None of a trajectory that cannot earn it. None: there is no such reward."""
    is_here: bool = True
    """Whether this rank holds it. Of others' it knows the rewards; their trajectories lack their
    pictures."""

    def __post_init__(self) -> None:
        if not self.trajectories or len(self.trajectories) != len(self.rewards):
            raise ValueError(
                f"{len(self.trajectories)} trajectories and {len(self.rewards)} rewards; "
                "wants one reward for each trajectory and at least one"
            )
        if self.late_rewards is not None and len(self.late_rewards) != len(self.rewards):
            raise ValueError(
                f"{len(self.late_rewards)} late rewards and {len(self.rewards)} rewards; wants one "
                "for each, or None"
            )

    @property
    def teaches(self) -> bool:
        """Rewards differ, or late ones do."""
        late = {reward for reward in self.late_rewards or () if reward is not None}
        return len(set(self.rewards)) > 1 or len(late) > 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighted:
    """A trajectory with its advantage and the weight of each of its policy tokens."""

    trajectory: TokenTrajectory
    advantage: float
    token_weight: float
    late_advantage: float = 0.0
    """Added to the advantage of the tokens from the first look on."""

    @property
    def teaches(self) -> bool:
        """One of its advantages is not exactly zero."""
        return self.advantage != 0.0 or self.late_advantage != 0.0

    def token_advantages(self) -> Float[Tensor, " chosen"]:
        """Of each token that the policy chose."""
        whole = torch.full((self.trajectory.num_policy_tokens,), self.advantage)
        if self.late_advantage == 0.0:
            return whole
        later = torch.full_like(whole, self.advantage + self.late_advantage)
        return torch.where(self.trajectory.turns > 0, later, whole)


def weigh(groups: Sequence[GRPOGroup], config: GRPOConfig, ranks: Ranks = ALONE) -> list[Weighted]:
    """The trajectories in which the policy chose something that counts.

    A token's weight, in which groups and tokens are those of all ranks, is one over

    - ``sequence``: groups x G x own tokens, the mean over a trajectory's tokens, then over its
      group, then over groups;
    - ``token``: the tokens of the step, the mean over all of them (DAPO, Yu et al. 2025, arXiv
      2503.14476, Eq. 12);
    - ``constant``: groups x G x ``constant_length``, so that a long trajectory's token counts for
      as much as a short one's (Dr. GRPO, Liu et al. 2025, arXiv 2503.20783, listing 1).

    With ``mask_truncated`` a trajectory that was cut off has no token that counts (DAPO, section
    3.4). Its reward stays in its group's mean and spread, and it stays one of the G.
    """
    counts = [[_tokens_that_count(item, config) for item in group.trajectories] for group in groups]
    every = ranks.total(sum(sum(tokens) for tokens in counts))
    of_all = ranks.total(len(groups))
    weighted = []
    for group, tokens in zip(groups, counts, strict=True):
        rewards = torch.tensor(group.rewards, dtype=torch.float64)
        advantages = group_advantages(rewards, scale=config.scale_rewards).tolist()
        late = late_advantages(
            group.late_rewards or [None] * len(tokens), scale=config.scale_rewards
        )
        for trajectory, advantage, later, own in zip(
            group.trajectories, advantages, late, tokens, strict=True
        ):
            if own == 0:
                continue
            if config.normalization == "token":
                shares = every
            else:
                shares = of_all * len(tokens) * (config.constant_length or own)
            weighted.append(
                Weighted(
                    trajectory=trajectory,
                    advantage=advantage,
                    token_weight=1 / shares,
                    late_advantage=later,
                )
            )
    return weighted


def _tokens_that_count(trajectory: TokenTrajectory, config: GRPOConfig) -> int:
    if config.mask_truncated and trajectory.truncated:
        return 0
    return trajectory.num_policy_tokens


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
