"""The M-RoPE of the kernels is that of Qwen2.5-VL."""

from typing import Any

import pytest
import torch
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

import genagent_kernels as kernels
from genagent_policy import Policy


def test_rotation_is_the_models_own(tiny_policy: Policy):
    text: Any = tiny_policy.text_config
    rotary = qwen.Qwen2_5_VLRotaryEmbedding(text)
    width = text.hidden_size // text.num_attention_heads
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(5, heads, width, generator=generator) for heads in (4, 2))
    positions = torch.tensor([[3, 4, 4, 4, 6], [3, 4, 5, 4, 6], [3, 4, 4, 5, 6]])
    cos, sin = rotary(query, positions[:, None])
    expected = qwen.apply_rotary_pos_emb(
        query.transpose(0, 1)[None], key.transpose(0, 1)[None], cos, sin
    )
    sections = tuple(text.rope_parameters["mrope_section"])
    assert len(sections) == 3
    found = kernels.rotate_multimodal(query, key, positions, rotary.inv_freq, sections)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs[0].transpose(0, 1), atol=1e-6, rtol=1e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found[0], query)
