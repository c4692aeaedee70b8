"""Log-probs, the GRPO loss and the ratio: logits are materialised, autograd finds the gradients.

Statistics are float32, or float64 where the input is.
"""

from dataclasses import fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from genagent_kernels.results import GRPOLoss, GRPOStats, LogProbs, RatioStats, TokenRatios


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
    dual_clip: float | None = None,
    temperature: float = 1.0,
) -> GRPOLoss:
    """The clipped surrogate of GRPO without a KL term (Eq. 5 of the paper)::

        ratio = exp(logprob - old_logprob)
        loss  = -sum_mask token_weight * min(ratio * A, clip(ratio, 1 - low, 1 + high) * A)

    With ``dual_clip`` c the surrogate of a negative advantage is no less than ``c * A`` (Ye et al.
    2020, Eq. 5), so that a token that has become far likelier cannot push without bound.

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
    surrogate = torch.minimum(free, clipped)
    is_free = free <= clipped
    if dual_clip is not None:
        is_bounded = (advantages < 0) & (surrogate < dual_clip * advantages)
        surrogate = torch.where(is_bounded, dual_clip * advantages, surrogate)
        is_free &= ~is_bounded
    loss = -(weights * surrogate).sum()
    is_effective = is_free & (advantages != 0) & (weights != 0)
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
    truncate_at: float | None = None,
) -> TokenRatios:
    """``exp(logprob - old_logprob)`` of each row, and its statistics over the mask."""
    dtype = statistics_dtype(logprob)
    difference = logprob.detach().to(dtype) - old_logprob.detach().to(dtype)
    ratio = torch.where(mask, difference, 0.0).exp()
    return TokenRatios(
        **_values(ratio_stats(difference[mask], clip_low=clip_low, clip_high=clip_high)),
        ratio=ratio,
        importance_weight=None if truncate_at is None else ratio.clamp(max=truncate_at),
    )


def ratio_stats(log_ratio: Tensor, *, clip_low: float, clip_high: float) -> RatioStats:
    """Statistics of the rows in the mask, given as ``[M]`` without the others."""
    dtype = log_ratio.dtype
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
    ratio = ratio_stats(logprob - old_logprob, clip_low=clip_low, clip_high=clip_high)
    return GRPOStats(
        **_values(ratio),
        entropy=entropy.mean() if len(entropy) else entropy.new_zeros(()),
        effective_rows=is_effective.sum(),
    )


def statistics_dtype(values: Tensor) -> torch.dtype:
    """float64 for float64, else float32."""
    return torch.float64 if values.dtype == torch.float64 else torch.float32


def _values(stats: RatioStats) -> dict[str, Tensor]:
    # Not asdict, which copies every tensor.
    return {field.name: getattr(stats, field.name) for field in fields(stats)}
