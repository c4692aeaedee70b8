"""Credit by turn, and by stage: what looking earns is credited to the tokens from that look on.

A reward for improving on a picture, credited to the whole trajectory, also pays for the first
prompt, and a prompt that draws a worse picture leaves more to improve. So there are two rewards a
trajectory, ``r = e + l``: ``e`` for all of it and ``l``, which only a trajectory with a pair has.
With ``P`` those of the group that have one,

    A_e[i] = (e[i] - mean(e)) / (std(e) + 1e-6)                     over the group, as in Eq. 4
    A_l[i] = (l[i] - mean_P(l)) / (std_P(l) + 1e-6) for i in P, else 0
    A[i,t] = A_e[i] + A_l[i] where token t stands behind the first picture, else A_e[i]

and the loss is Eq. 5 with ``A[i,t]`` in the place of ``A[i]``. That later rewards do not flow to
earlier turns is PAG's (Jiang et al. 2025, arXiv 2506.10406); two advantages, each against its own
group, are this project's.

Staged, drawing a first picture and making something of it are two decisions in a row, each with its
own reward: ``e`` is what the first picture earns and ``l`` what the trajectory does. With ``S[i]``
those of the group whose first picture has earned what that of ``i`` has,

    A[i,t] = (l[i] - mean_S[i](l)) / (std_S[i](l) + 1e-6) where token t stands behind it
    A[i,t] = A_e[i]                                         elsewhere

so that what was made of a failed picture is held against what others have made of failed ones: its
baseline is that of the state in which the agent was. That advantages are better taken among
trajectories of equal structure is Stratified GRPO's (Zhu et al. 2025, arXiv 2510.06214, which goes
by the number of calls); to go by what the agent has seen, and by its stage, is this project's.
"""

from collections.abc import Sequence

import torch

from genagent_policy.advantages import group_advantages
from genagent_policy.grpo_config import RewardScale


def two_advantages(
    rewards: Sequence[float],
    late_rewards: Sequence[float | None] | None,
    *,
    staged: bool = False,
    scale: RewardScale = "group",
) -> tuple[list[float], list[float]]:
    """The advantage of each trajectory, and what is added to it from its first look on."""
    early = group_advantages(torch.tensor(rewards, dtype=torch.float64), scale=scale).tolist()
    late_rewards = late_rewards or [None] * len(rewards)
    if not staged:
        return early, late_advantages(late_rewards, scale=scale)
    later = [0.0] * len(rewards)
    for reward in set(rewards):
        alike = [index for index, other in enumerate(rewards) if other == reward]
        found = late_advantages([late_rewards[index] for index in alike], scale=scale)
        for index, advantage in zip(alike, found, strict=True):
            later[index] = advantage
    return early, [after - before for after, before in zip(later, early, strict=True)]


def late_advantages(
    late_rewards: Sequence[float | None], *, scale: RewardScale = "group"
) -> list[float]:
    """Each late reward against the others that are there; exactly 0 where there is none, and where
    all of them are equal.

    Example: ``late_advantages([0.3, None, 0.0])`` is about ``[1.0, 0.0, -1.0]``.
    """
    present = [reward for reward in late_rewards if reward is not None]
    if not present:
        return [0.0] * len(late_rewards)
    found = iter(group_advantages(torch.tensor(present, dtype=torch.float64), scale=scale).tolist())
    return [0.0 if reward is None else next(found) for reward in late_rewards]
