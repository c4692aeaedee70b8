"""Qwen2.5-VL: the vision tower's output at the input, one axis of rotation behind the other."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.families.family import Embedded, Family, Projected


def _classes() -> tuple[Any, Any]:
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

    return Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor


def _head_width(text: Any) -> int:
    return text.hidden_size // text.num_attention_heads


def _levels(seen: Any) -> Float[Tensor, "tokens 1 hidden"]:
    return torch.cat(seen.pooler_output)[:, None]


def _text_inputs(embedded: Embedded, mask: Tensor | None) -> dict[str, Any]:
    return {
        "inputs_embeds": embedded.states[None],
        # A mapping by layer type is used as it is; a tensor would be checked every time.
        "attention_mask": {"full_attention": mask},
    }


def _project(attention: Any, states: Float[Tensor, "tokens hidden"], width: int) -> Projected:
    query, key, value = (
        project(states).view(len(states), -1, width)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return query, key, value


def _legacy_rotation(kind: str) -> dict[str, str]:
    return {"type": "mrope" if kind == "default" else kind}


FAMILY = Family(
    tool_syntax="hermes",
    interleaved=False,
    classes=_classes,
    head_width=_head_width,
    levels=_levels,
    text_inputs=_text_inputs,
    project=_project,
    legacy_rotation=_legacy_rotation,
)
