"""A checkpoint folder in the layout in which Qwen3-VL-8B-Instruct is published: a nested
configuration of transformers 4.57, weights in shards with an index, a preprocessor's file each for
pictures and videos. The tied one is that of the 4B."""

import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from tests.experiments.published_layout import (
    CONTROL,
    STOCK_GENERATION,
    save_shards,
    save_tokenizer,
)

CONTROL_3 = (*CONTROL, "<tool_response>", "</tool_response>", "<think>", "</think>")

STOCK_CONFIG = """{
  "architectures": ["Qwen3VLForConditionalGeneration"],
  "image_token_id": 151655, "model_type": "qwen3_vl",
  "text_config": {
    "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
    "dtype": "bfloat16", "eos_token_id": 151645, "head_dim": 16, "hidden_act": "silu",
    "hidden_size": 40, "initializer_range": 0.02, "intermediate_size": 64,
    "max_position_embeddings": 262144, "model_type": "qwen3_vl_text", "num_attention_heads": 4,
    "num_hidden_layers": 5, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
    "rope_scaling": {
      "mrope_interleaved": true, "mrope_section": [4, 2, 2], "rope_type": "default"
    },
    "rope_theta": 5000000, "use_cache": true, "vocab_size": 151936
  },
  "transformers_version": "4.57.0.dev0", "video_token_id": 151656,
  "vision_config": {
    "deepstack_visual_indexes": [0, 1, 2], "depth": 4, "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": 32, "in_channels": 3, "initializer_range": 0.02, "intermediate_size": 48,
    "model_type": "qwen3_vl", "num_heads": 2, "num_position_embeddings": 2304,
    "out_hidden_size": 40, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2
  },
  "vision_end_token_id": 151653, "vision_start_token_id": 151652
}"""
"""The published file with other widths, depths and sections; ``tie_word_embeddings`` is added."""

PIXELS = {
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "processor_class": "Qwen3VLProcessor",
}
STOCK_PREPROCESSOR = PIXELS | {
    "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    "image_processor_type": "Qwen2VLImageProcessorFast",
}
STOCK_VIDEO_PREPROCESSOR = PIXELS | {
    "size": {"longest_edge": 25165824, "shortest_edge": 4096},
    "video_processor_type": "Qwen3VLVideoProcessor",
}


def publish_random_qwen3(target: Path, *, tied: bool) -> Path:
    """A random policy in everything but its widths like Qwen3-VL-8B-Instruct, or, tied, the 4B:
    vocabulary, special tokens, files, names, bfloat16. 25 MB, or half of that."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    target.mkdir(parents=True)
    save_tokenizer(target, CONTROL_3)
    config = json.loads(STOCK_CONFIG) | {"tie_word_embeddings": tied}
    files = {
        "config.json": config,
        "generation_config.json": json.loads(STOCK_GENERATION),
        "preprocessor_config.json": STOCK_PREPROCESSOR,
        "video_preprocessor_config.json": STOCK_VIDEO_PREPROCESSOR,
    }
    for name, settings in files.items():
        (target / name).write_text(json.dumps(settings))
    torch.manual_seed(2 + int(tied))
    with tempfile.TemporaryDirectory() as scratch:
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_pretrained(target))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5.0)  # Or its distributions would all but be flat.
                elif name.endswith(("q_norm.weight", "k_norm.weight")):
                    parameter.uniform_(0.5, 2.0)
        model.bfloat16().save_pretrained(scratch)
        weights = load_file(Path(scratch) / "model.safetensors")
    assert ("lm_head.weight" in weights) != tied
    assert any(name.startswith("model.visual.deepstack_merger_list.2.") for name in weights)
    assert any(name.startswith("model.language_model.layers.") for name in weights)
    save_shards(weights, target)
    return target
