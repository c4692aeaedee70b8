"""How much better a trajectory did than the others of its group (Eq. 4)."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from genagent_policy.grpo_config import RewardScale

SPREAD_FLOOR = 1e-6
"""Added to the standard deviation."""


def group_advantages(
    rewards: Real[Tensor, " group"], *, scale: RewardScale = "group"
) -> Float[Tensor, " group"]:
    """``(r - mean(r)) / (std(r) + 1e-6)`` with the population standard deviation (divisor G).

    With ``scale`` "none" it is ``r - mean(r)``: Dr. GRPO (Liu et al. 2025, arXiv 2503.20783)
    divides by no spread, which would weigh requests that are nearly always or nearly never
    solved more than others.

    Computed in float64 and returned in the rewards' dtype. A group whose rewards are all equal has
    advantages of exactly zero: rounding in the mean, divided by 1e-6, must not look like a signal.

    Raises:
        ValueError: no rewards, or one that is not finite.
    """
    if rewards.ndim != 1 or rewards.numel() == 0:
        raise ValueError(f"rewards have shape {tuple(rewards.shape)}; wants one reward at least")
    if not bool(torch.isfinite(rewards).all()):
        raise ValueError(f"rewards hold a value that is not finite: {rewards.tolist()}")
    dtype = rewards.dtype if rewards.is_floating_point() else torch.get_default_dtype()
    exact = rewards.to(torch.float64)
    if bool((exact == exact[0]).all()):
        return torch.zeros_like(rewards, dtype=dtype)
    centred = exact - exact.mean()
    if scale == "none":
        return centred.to(dtype)
    return (centred / (exact.std(correction=0) + SPREAD_FLOOR)).to(dtype)
