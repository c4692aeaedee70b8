"""Sizes of models as they were published, for planning without their folder.

From each model's own config.json; what is left out has transformers' default.
"""

from typing import Any


def _qwen2_5(
    hidden: int,
    inner: int,
    layers: int,
    heads: int,
    keys: int,
    vocabulary: int,
    *,
    tied: bool = False,
    seen: int = 3456,
) -> dict[str, Any]:
    return {
        "model_type": "qwen2_5_vl",
        "dtype": "bfloat16",
        "tie_word_embeddings": tied,
        "text_config": {
            "model_type": "qwen2_5_vl_text",
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": keys,
            "vocab_size": vocabulary,
            "tie_word_embeddings": tied,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1000000.0,
                "mrope_section": [16, 24, 24],
            },
        },
        "vision_config": {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": seen,
            "num_heads": 16,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def _qwen3(
    hidden: int, inner: int, layers: int, *, tied: bool, vision: tuple[int, int, int]
) -> dict[str, Any]:
    depth, width, seen = vision
    return {
        "model_type": "qwen3_vl",
        "dtype": "bfloat16",
        "tie_word_embeddings": tied,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "tie_word_embeddings": tied,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5000000.0,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        "vision_config": {
            "depth": depth,
            "hidden_size": width,
            "intermediate_size": seen,
            "num_heads": 16,
            "out_hidden_size": hidden,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [8, 16, 24] if depth == 27 else [5, 11, 17],
        },
    }


PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": _qwen2_5(2048, 11008, 36, 16, 2, 151936, tied=True, seen=3420),
    "Qwen/Qwen2.5-VL-7B-Instruct": _qwen2_5(3584, 18944, 28, 28, 4, 152064, seen=3420),
    "Qwen/Qwen2.5-VL-32B-Instruct": _qwen2_5(5120, 27648, 64, 40, 8, 152064),
    "Qwen/Qwen2.5-VL-72B-Instruct": _qwen2_5(8192, 29568, 80, 64, 8, 152064),
    "Qwen/Qwen3-VL-4B-Instruct": _qwen3(2560, 9728, 36, tied=True, vision=(24, 1024, 4096)),
    "Qwen/Qwen3-VL-8B-Instruct": _qwen3(4096, 12288, 36, tied=False, vision=(27, 1152, 4304)),
}
"""By name."""

USUAL = "Qwen/Qwen2.5-VL-7B-Instruct"
"""Planned for where no policy is given: the paper's."""
