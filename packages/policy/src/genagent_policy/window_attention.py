"""Attention of the vision tower over windows and whole pictures, those of one length together.

Transformers' own SDPA path calls the kernel once a window: 269,184 calls for 96 pictures of
1024x1024 in Qwen2.5-VL-7B (28 windowed layers of 100 windows a picture, and 4 over whole
pictures). Windows are of few lengths, so that a layer needs a few calls whatever it is shown.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

BY_LENGTH = "flash_by_length"
"""Name in transformers' registry. It hands the windows' bounds to a kernel that has "flash" in its
name and else cuts them apart itself."""


def register_window_attention() -> None:
    """Make it known to transformers; once or more often."""
    from transformers import AttentionInterface

    AttentionInterface.register(BY_LENGTH, attend_by_length)


def attend_by_length(
    module: torch.nn.Module,
    query: Float[Tensor, "1 heads tokens width"],
    key: Float[Tensor, "1 heads tokens width"],
    value: Float[Tensor, "1 heads tokens width"],
    attention_mask: None = None,
    *,
    cu_seq_lens_q: Int[Tensor, " bounds"],
    scaling: float,
    **_: Any,
) -> tuple[Float[Tensor, "1 tokens heads width"], None]:
    """Softmax attention within each span between two bounds, not causal.

    Args:
        cu_seq_lens_q: where the spans begin, and the number of tokens last.
    """
    lengths = (cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).tolist()
    parts = [state[0].transpose(0, 1) for state in (query, key, value)]  # [tokens, heads, width]
    if len(set(lengths)) == 1:
        seen = _attend(parts, len(lengths), scaling)
        return seen[None], None
    begins = cu_seq_lens_q.tolist()
    output = torch.empty_like(parts[0])
    for length in sorted(set(lengths) - {0}):
        spans = [place for place, found in enumerate(lengths) if found == length]
        first = torch.tensor([begins[place] for place in spans], device=query.device)
        tokens = (first[:, None] + torch.arange(length, device=query.device)).flatten()
        output[tokens] = _attend([part[tokens] for part in parts], len(spans), scaling)
    return output[None], None


def _attend(parts: list[Tensor], spans: int, scaling: float) -> Float[Tensor, "tokens heads width"]:
    """Over spans of equal length, one after another."""
    query, key, value = (part.unflatten(0, (spans, -1)).transpose(1, 2) for part in parts)
    seen = scaled_dot_product_attention(query, key, value, scale=scaling)
    return seen.transpose(1, 2).flatten(0, 1)
