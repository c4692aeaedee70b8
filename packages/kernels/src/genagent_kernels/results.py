"""What the kernels return. Scalars are detached 0-dim tensors: reading one is the caller's sync."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class LogProbs:
    """Log-probabilities of the target tokens; float32, or float64 for float64 input."""

    logprob: Float[Tensor, " rows"]
    entropy: Float[Tensor, " rows"] | None
    """Of the whole distribution, in nats; None where it was not asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RatioStats:
    """How far the policy moved from the one that sampled, over the tokens of a mask.

    With no token in the mask the values are those of a policy that did not move.
    """

    ratio_mean: Float[Tensor, ""]
    """Mean of exp(logprob - old_logprob)."""
    ratio_max: Float[Tensor, ""]
    clip_low_fraction: Float[Tensor, ""]
    """Share of tokens whose ratio is below 1 - clip_low, whatever their advantage."""
    clip_high_fraction: Float[Tensor, ""]
    """Share of tokens whose ratio is above 1 + clip_high, whatever their advantage."""
    kl_k1: Float[Tensor, ""]
    """Mean of -log ratio: KL(old || new), unbiased, may be negative."""
    kl_k3: Float[Tensor, ""]
    """Mean of ratio - 1 - log ratio: the same KL, unbiased, never negative."""
    tokens: Int[Tensor, ""]
    """Tokens in the mask; the weight with which means of micro-batches are combined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRatios(RatioStats):
    """``RatioStats`` with the ratios themselves."""

    ratio: Float[Tensor, " rows"]
    """exp(logprob - old_logprob); 1 outside the mask."""
    importance_weight: Float[Tensor, " rows"] | None
    """The ratio, cut at ``truncate_at``; None where no truncation was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOStats(RatioStats):
    """``RatioStats`` with what only the loss knows."""

    entropy: Float[Tensor, ""]
    """Mean over the tokens of the mask, in nats."""
    effective_rows: Int[Tensor, ""]
    """Tokens that push the policy: in the mask, advantage and weight not zero, not clipped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOLoss:
    """The loss, which carries the gradient, and what was measured on the way, which does not."""

    loss: Float[Tensor, ""]
    logprob: Float[Tensor, " rows"]
    """Under the current weights; 0 outside the mask."""
    stats: GRPOStats


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledTokens:
    """Tokens drawn from logits, with what the trainer needs to know about the draw."""

    token: Int[Tensor, " rows"]
    logprob: Float[Tensor, " rows"]
    """Under the distribution drawn from, ``softmax(logits / temperature)``; float32, or float64 for
    float64 logits."""
