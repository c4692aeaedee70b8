"""Causal attention within each of the trajectories that stand one behind the other in a row.

One call of torch's kernel a trajectory: it is causal by a flag and skips the half that nobody sees,
where a mask that is block-diagonal would be computed in full, ``[tokens, tokens]`` of it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

BY_TRAJECTORY = "sdpa_by_trajectory"
"""Name in transformers' registry."""


def register_trajectory_attention() -> None:
    """Make it known to transformers; once or more often."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(BY_TRAJECTORY, attend_by_trajectory)
    # Where transformers runs the model by itself, its masks are those of SDPA.
    AttentionMaskInterface.register(BY_TRAJECTORY, sdpa_mask)


def attend_by_trajectory(
    module: torch.nn.Module,
    query: Float[Tensor, "rows heads tokens width"],
    key: Float[Tensor, "rows key_heads cached width"],
    value: Float[Tensor, "rows key_heads cached width"],
    attention_mask: Tensor | None = None,
    *,
    scaling: float,
    trajectory_lengths: Sequence[int] = (),
    **others: Any,
) -> tuple[Float[Tensor, "rows tokens heads width"], None]:
    """Softmax attention of each token over those before it and itself.

    Args:
        trajectory_lengths: tokens of each trajectory in the one row; none: transformers runs the
            model by itself, and its own SDPA is called.
    """
    if not trajectory_lengths:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    lengths = list(trajectory_lengths)
    parts = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    seen = [
        scaled_dot_product_attention(*part, is_causal=True, scale=scaling, enable_gqa=True)
        for part in parts
    ]
    return torch.cat([part.transpose(1, 2) for part in seen], dim=1), None
