"""The kernels in plain PyTorch: what every faster version is compared with.

Written to be read, not to be fast: the logits are materialised and autograd finds the gradients.
Statistics are float32, or float64 where the input is. Arguments are not checked.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from genagent_kernels.results import GRPOLoss, GRPOStats, LogProbs, RatioStats


def linear_logprob(
    hidden: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocabulary hidden"],
    target: Int[Tensor, " rows"],
    *,
    temperature: float = 1.0,
    with_entropy: bool = False,
) -> LogProbs:
    """Log-probability of each target under ``softmax(hidden @ weight.T / temperature)``."""
    dtype = statistics_dtype(hidden)
    logits = hidden.to(dtype) @ weight.to(dtype).T / temperature  # [N, V]
    logprobs = torch.log_softmax(logits, dim=-1)
    return LogProbs(
        logprob=logprobs.gather(1, target[:, None]).squeeze(1),
        entropy=-(logprobs.exp() * logprobs).sum(-1) if with_entropy else None,
    )


def grpo_loss(
    hidden: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocabulary hidden"],
    target: Int[Tensor, " rows"],
    *,
    old_logprob: Float[Tensor, " rows"],
    advantage: Float[Tensor, " rows"],
    mask: Bool[Tensor, " rows"],
    token_weight: Float[Tensor, " rows"],
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    temperature: float = 1.0,
) -> GRPOLoss:
    """The clipped surrogate of GRPO without a KL term (Eq. 5 of the paper)::

        ratio = exp(logprob - old_logprob)
        loss  = -sum_mask token_weight * min(ratio * A, clip(ratio, 1 - low, 1 + high) * A)

    Rows outside the mask are left out before anything is computed, so whatever they hold reaches
    neither the loss nor a gradient.
    """
    (rows,) = mask.nonzero(as_tuple=True)
    now = linear_logprob(
        hidden[rows], weight, target[rows], temperature=temperature, with_entropy=True
    )
    dtype = now.logprob.dtype
    old, advantages, weights = (
        values.detach()[rows].to(dtype) for values in (old_logprob, advantage, token_weight)
    )
    ratio = (now.logprob - old).exp()
    free = ratio * advantages
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high) * advantages
    loss = -(weights * torch.minimum(free, clipped)).sum()
    is_effective = (free <= clipped) & (advantages != 0) & (weights != 0)
    assert now.entropy is not None
    return GRPOLoss(
        loss=loss,
        logprob=now.logprob.detach()
        .new_zeros(mask.shape)
        .index_copy(0, rows, now.logprob.detach()),
        stats=grpo_stats(
            now.logprob.detach(),
            old,
            entropy=now.entropy.detach(),
            is_effective=is_effective,
            clip_low=clip_low,
            clip_high=clip_high,
        ),
    )


def logprob_ratio(
    logprob: Float[Tensor, " rows"],
    old_logprob: Float[Tensor, " rows"],
    mask: Bool[Tensor, " rows"],
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> RatioStats:
    """Statistics of ``exp(logprob - old_logprob)`` over the mask."""
    dtype = statistics_dtype(logprob)
    log_ratio = logprob.detach()[mask].to(dtype) - old_logprob.detach()[mask].to(dtype)
    tokens = torch.tensor(len(log_ratio), device=log_ratio.device)
    if len(log_ratio) == 0:
        zero, one = log_ratio.new_zeros(()), log_ratio.new_ones(())
        return RatioStats(
            ratio_mean=one,
            ratio_max=one,
            clip_low_fraction=zero,
            clip_high_fraction=zero,
            kl_k1=zero,
            kl_k3=zero,
            tokens=tokens,
        )
    ratio = log_ratio.exp()
    return RatioStats(
        ratio_mean=ratio.mean(),
        ratio_max=ratio.max(),
        clip_low_fraction=(ratio < 1 - clip_low).to(dtype).mean(),
        clip_high_fraction=(ratio > 1 + clip_high).to(dtype).mean(),
        kl_k1=-log_ratio.mean(),
        # expm1 keeps the digits that ratio - 1 loses near 1, where this is a square.
        kl_k3=(log_ratio.expm1() - log_ratio).mean(),
        tokens=tokens,
    )


def grpo_stats(
    logprob: Tensor,
    old_logprob: Tensor,
    *,
    entropy: Tensor,
    is_effective: Tensor,
    clip_low: float,
    clip_high: float,
) -> GRPOStats:
    """Statistics of the rows in the mask, given as ``[M]`` without the others."""
    ratio = logprob_ratio(
        logprob,
        old_logprob,
        torch.ones_like(is_effective),
        clip_low=clip_low,
        clip_high=clip_high,
    )
    return GRPOStats(
        ratio_mean=ratio.ratio_mean,
        ratio_max=ratio.ratio_max,
        clip_low_fraction=ratio.clip_low_fraction,
        clip_high_fraction=ratio.clip_high_fraction,
        kl_k1=ratio.kl_k1,
        kl_k3=ratio.kl_k3,
        tokens=ratio.tokens,
        entropy=entropy.mean() if len(entropy) else entropy.new_zeros(()),
        effective_rows=is_effective.sum(),
    )


def statistics_dtype(values: Tensor) -> torch.dtype:
    """float64 for float64, else float32."""
    return torch.float64 if values.dtype == torch.float64 else torch.float32
