"""Qwen3-VL: queries and keys normalized a head, axes of rotation interleaved, DeepStack.

DeepStack (2406.04334): what the vision tower has seen after some of its layers (8, 16 and 24 of 27
in the 8B) goes through mergers of its own and is added to the hidden states behind the first
layers of the language model, in the places of the picture.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.families.family import Embedded, Family, Projected


def _classes() -> tuple[Any, Any]:
    from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    return Qwen3VLForConditionalGeneration, Qwen3VLProcessor


def _head_width(text: Any) -> int:
    # The 4B has 32 heads of 128 over a hidden size of 2560.
    return text.head_dim


def _levels(seen: Any) -> Float[Tensor, "tokens levels hidden"]:
    levels = [seen.pooler_output, *seen.deepstack_features]
    return torch.stack([torch.cat(pictures) for pictures in levels], dim=1)


def _text_inputs(embedded: Embedded, mask: Tensor | None) -> dict[str, Any]:
    return {
        "inputs_embeds": embedded.states[None],
        "attention_mask": mask,
        "visual_pos_masks": embedded.is_picture[None],
        "deepstack_visual_embeds": embedded.deeper,
    }


def _project(attention: Any, states: Float[Tensor, "tokens hidden"], width: int) -> Projected:
    query, key, value = (
        project(states).view(len(states), -1, width)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return attention.q_norm(query), attention.k_norm(key), value


def _legacy_rotation(kind: str) -> dict[str, str]:
    return {"rope_type": kind}


FAMILY = Family(
    tool_syntax="hermes",
    interleaved=True,
    classes=_classes,
    head_width=_head_width,
    levels=_levels,
    text_inputs=_text_inputs,
    project=_project,
    legacy_rotation=_legacy_rotation,
)
