"""Fused linear log-probs and the masked GRPO loss, the kernels of a rollout engine, and a PyTorch
reference of each."""

from genagent_kernels import reference
from genagent_kernels.backends import Backend
from genagent_kernels.decode_plan import DecodePlan
from genagent_kernels.module import GRPOHead
from genagent_kernels.ops import grpo_loss, linear_logprob, logprob_ratio
from genagent_kernels.results import (
    GRPOLoss,
    GRPOStats,
    LogProbs,
    RatioStats,
    SampledTokens,
    TokenRatios,
)
from genagent_kernels.rollout_ops import (
    decode_attention,
    plan_decode,
    plan_rotation,
    prefill_attention,
    rotate_multimodal,
    sample_tokens,
    write_pages,
)

__all__ = [
    "Backend",
    "DecodePlan",
    "GRPOHead",
    "GRPOLoss",
    "GRPOStats",
    "LogProbs",
    "RatioStats",
    "SampledTokens",
    "TokenRatios",
    "decode_attention",
    "grpo_loss",
    "linear_logprob",
    "logprob_ratio",
    "plan_decode",
    "plan_rotation",
    "prefill_attention",
    "reference",
    "rotate_multimodal",
    "sample_tokens",
    "write_pages",
]
