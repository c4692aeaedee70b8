"""Credit by turn: what only looking can earn is credited to the tokens from the first look on.

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
"""

from collections.abc import Sequence

import torch

from genagent_policy.advantages import group_advantages
from genagent_policy.grpo_config import RewardScale


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
