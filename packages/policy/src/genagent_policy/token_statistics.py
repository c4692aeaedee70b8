"""Ratio, clipping, divergence and entropy over the policy tokens of several micro-batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genagent_kernels import GRPOStats


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenStatistics:
    """Means over policy tokens of the current policy against the one that sampled.

    Example: on-policy, ``ratio_mean == ratio_max == 1`` and both divergences are 0, to float
    accuracy.
    """

    tokens: int
    ratio_mean: float
    ratio_max: float
    clip_low_fraction: float
    clip_high_fraction: float
    effective_fraction: float
    """Tokens that push the policy: advantage and weight are not zero, and no clip holds them."""
    kl_k1: float
    """Mean of ``old - new`` log-prob: unbiased, may be negative."""
    kl_k3: float
    """Mean of ``ratio - 1 - log ratio``: never negative."""
    entropy: float
    """Nats per token."""
    dual_clip_fraction: float | None = None
    """Tokens of a negative advantage whose ratio is above the dual clip; None: there is none."""
    reference_kl: float | None = None
    """Mean of the estimate that is in the loss; None: there is no reference."""

    @classmethod
    def of(cls, stats: GRPOStats) -> "TokenStatistics":
        tokens = int(stats.tokens)
        return cls(
            tokens=tokens,
            ratio_mean=float(stats.ratio_mean),
            ratio_max=float(stats.ratio_max),
            clip_low_fraction=float(stats.clip_low_fraction),
            clip_high_fraction=float(stats.clip_high_fraction),
            effective_fraction=int(stats.effective_rows) / max(tokens, 1),
            kl_k1=float(stats.kl_k1),
            kl_k3=float(stats.kl_k3),
            entropy=float(stats.entropy),
        )

    @classmethod
    def pool(cls, parts: Sequence["TokenStatistics"]) -> "TokenStatistics":
        """The statistics of all tokens together; NaN where there is no token."""
        parts = [part for part in parts if part.tokens]  # the others' means are of nothing
        tokens = sum(part.tokens for part in parts)

        def mean(name: str) -> float:
            if tokens == 0:
                return math.nan
            return sum(getattr(part, name) * part.tokens for part in parts) / tokens

        def known(name: str) -> float | None:
            return mean(name) if all(getattr(part, name) is not None for part in parts) else None

        return cls(
            tokens=tokens,
            ratio_mean=mean("ratio_mean"),
            ratio_max=max((part.ratio_max for part in parts), default=math.nan),
            clip_low_fraction=mean("clip_low_fraction"),
            clip_high_fraction=mean("clip_high_fraction"),
            effective_fraction=mean("effective_fraction"),
            kl_k1=mean("kl_k1"),
            kl_k3=mean("kl_k3"),
            entropy=mean("entropy"),
            dual_clip_fraction=known("dual_clip_fraction"),
            reference_kl=known("reference_kl"),
        )
