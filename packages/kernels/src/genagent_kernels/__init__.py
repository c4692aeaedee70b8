"""Fused linear log-probs and the masked GRPO loss, with their PyTorch references."""

from genagent_kernels import reference
from genagent_kernels.ops import Backend, grpo_loss, linear_logprob, logprob_ratio
from genagent_kernels.results import GRPOLoss, GRPOStats, LogProbs, RatioStats

__all__ = [
    "Backend",
    "GRPOLoss",
    "GRPOStats",
    "LogProbs",
    "RatioStats",
    "grpo_loss",
    "linear_logprob",
    "logprob_ratio",
    "reference",
]
