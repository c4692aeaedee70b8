"""Credit by turn, and by state: what looking earns is credited to the tokens from that look on.

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

By state, what comes later is held against what others have made of the same: ``l`` is the reward
of the whole trajectory, and ``P`` are those of the group whose first picture was alike right or
wrong. The baseline of Eq. 4 is that of the group, and most of how a trajectory with a failed
picture stands to it has been decided before the look; against others that had failed, what is left
is what was made of it. That advantages are better taken among trajectories of equal structure is
Stratified GRPO's (Zhu et al. 2025, arXiv 2510.06214, which goes by the number of calls); to go by
what the agent has seen, and to do so beside Eq. 4, is this project's.
"""

from collections.abc import Sequence

import torch

from genagent_policy.advantages import group_advantages
from genagent_policy.grpo_config import RewardScale


def late_advantages(
    late_rewards: Sequence[float | None],
    states: Sequence[object] | None = None,
    *,
    scale: RewardScale = "group",
) -> list[float]:
    """Each late reward against the others that are there, or those of them in an equal state;
    exactly 0 where there is none, and where all of them are equal.

    Example: ``late_advantages([0.3, None, 0.0])`` is about ``[1.0, 0.0, -1.0]``.
    """
    found = [0.0] * len(late_rewards)
    among = states or [None] * len(late_rewards)
    for state in dict.fromkeys(among):
        there = {
            index: reward
            for index, reward in enumerate(late_rewards)
            if reward is not None and among[index] == state
        }
        if there:
            exact = torch.tensor(list(there.values()), dtype=torch.float64)
            advantages = group_advantages(exact, scale=scale).tolist()
            for index, advantage in zip(there, advantages, strict=True):
                found[index] = advantage
    return found
