"""What an update of GRPO did, in figures."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from genagent_policy.batching import micro_batch_fill
from genagent_policy.mismatch import EngineMismatch
from genagent_policy.token_statistics import TokenStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradient:
    """What one pass over some groups was like; its gradient waits in the optimizer."""

    loss: float
    statistics: TokenStatistics
    mismatch: EngineMismatch
    """Of the policy as it was in this pass, and the engine."""
    trajectories: int
    micro_batches: tuple[int, ...]
    """Tokens of each that holds a trajectory."""

    @classmethod
    def pool(cls, parts: Sequence["Gradient"]) -> "Gradient":
        """That of all ranks together; one by itself stays as it is, to the last bit."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            loss=sum(part.loss for part in parts),
            statistics=TokenStatistics.pool([part.statistics for part in parts]),
            mismatch=EngineMismatch.pool([part.mismatch for part in parts]),
            trajectories=sum(part.trajectories for part in parts),
            micro_batches=tuple(tokens for part in parts for tokens in part.micro_batches),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOReport:
    """What an update did; token statistics are over the tokens that were trained on."""

    loss: float
    """Mean over the optimizer steps."""
    grad_norm: float
    """Before clipping; mean over the optimizer steps that were taken."""
    skipped_steps: int
    """Not taken, because the gradient's norm was not finite."""
    ratio_mean: float
    ratio_max: float
    clip_low_fraction: float
    clip_high_fraction: float
    effective_fraction: float
    entropy: float
    """Nats per token of the policy as it is being updated."""
    kl_k1: float
    kl_k3: float
    dual_clip_fraction: float | None = None
    """None: no dual clip."""
    reference_kl: float | None = None
    """Nats per token, by the estimate that is in the loss. None: no reference."""
    masked_trajectories: int | None = None
    """Cut off, and therefore out of the loss. None: none is taken out."""
    policy_tokens: int
    optimizer_steps: int
    """Fewer than asked for where all advantages of a part were zero."""
    trained_trajectories: int
    """Trajectories with an advantage, counted once per epoch."""
    mismatch: EngineMismatch
    """Before anything was learnt: over the first optimizer step's tokens."""
    learning_rate: float
    seconds: float
    micro_batch_fill: float
    """Share of the micro-batches' token budget that was used; 0 where nothing was run."""
    tokens_per_second: float
    """Tokens run forward and backward, prompts and pictures included."""

    def metrics(self) -> dict[str, float]:
        """Its figures by metric name."""
        others = (
            "seconds",
            "micro_batch_fill",
            "tokens_per_second",
            "policy_tokens",
            "optimizer_steps",
            "mismatch",
        )
        figures = asdict(self)
        shown = {n: v for n, v in figures.items() if n not in others and v is not None}
        return {
            **{f"policy/{name}": float(value) for name, value in shown.items()},
            **self.mismatch.metrics(),
            "seconds/update": self.seconds,
            "throughput/micro_batch_fill": self.micro_batch_fill,
            "throughput/trained_tokens_per_second": self.tokens_per_second,
        }

    @classmethod
    def of(
        cls,
        steps: Sequence[Gradient],
        grad_norms: Sequence[float],
        *,
        learning_rate: float,
        micro_batch_tokens: int,
        seconds: float,
        masked_trajectories: int | None = None,
    ) -> "GRPOReport":
        """The report on all optimizer steps of an update."""
        sizes = [tokens for gradient in steps for tokens in gradient.micro_batches]
        pooled = TokenStatistics.pool([gradient.statistics for gradient in steps])
        return cls(
            loss=_mean([gradient.loss for gradient in steps]),
            grad_norm=_mean([norm for norm in grad_norms if math.isfinite(norm)]),
            skipped_steps=sum(not math.isfinite(norm) for norm in grad_norms),
            ratio_mean=pooled.ratio_mean,
            ratio_max=pooled.ratio_max,
            clip_low_fraction=pooled.clip_low_fraction,
            clip_high_fraction=pooled.clip_high_fraction,
            effective_fraction=pooled.effective_fraction,
            entropy=pooled.entropy,
            kl_k1=pooled.kl_k1,
            kl_k3=pooled.kl_k3,
            dual_clip_fraction=pooled.dual_clip_fraction if steps else None,
            reference_kl=pooled.reference_kl if steps else None,
            masked_trajectories=masked_trajectories,
            policy_tokens=pooled.tokens,
            optimizer_steps=len(steps),
            trained_trajectories=sum(gradient.trajectories for gradient in steps),
            mismatch=steps[0].mismatch if steps else EngineMismatch(),
            learning_rate=learning_rate,
            seconds=seconds,
            micro_batch_fill=micro_batch_fill(sizes, max_tokens=micro_batch_tokens),
            tokens_per_second=sum(sizes) / seconds,
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
