"""The kernels in plain PyTorch: what every faster version is compared with.

Written to be read, not to be fast. Arguments are not checked.
"""

from genagent_kernels.reference.attention import decode_attention, prefill_attention, write_pages
from genagent_kernels.reference.loss import (
    grpo_loss,
    grpo_stats,
    linear_logprob,
    logprob_ratio,
    statistics_dtype,
)
from genagent_kernels.reference.mrope import multimodal_angles, rotate_by, rotate_multimodal
from genagent_kernels.reference.sampler import philox_uniforms, sample_tokens

__all__ = [
    "decode_attention",
    "grpo_loss",
    "grpo_stats",
    "linear_logprob",
    "logprob_ratio",
    "multimodal_angles",
    "philox_uniforms",
    "prefill_attention",
    "rotate_by",
    "rotate_multimodal",
    "sample_tokens",
    "statistics_dtype",
    "write_pages",
]
