"""How much better a trajectory did than the others of its group (Eq. 4)."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

SPREAD_FLOOR = 1e-6
"""Added to the standard deviation."""


def group_advantages(rewards: Real[Tensor, " group"]) -> Float[Tensor, " group"]:
    """``(r - mean(r)) / (std(r) + 1e-6)`` with the population standard deviation (divisor G).

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
    spread = exact.std(correction=0)
    return ((exact - exact.mean()) / (spread + SPREAD_FLOOR)).to(dtype)
