"""A checkpoint folder in the layout in which Qwen2.5-VL is published: a flat configuration of
transformers 4, weights in three shards with an index, a preprocessor's file."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SHARDS = 3


def publish(source: Path, target: Path) -> Path:
    """The same policy in that layout. The weights' names are the published ones already."""
    target.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(source / name, target / name)
    config = json.loads((source / "config.json").read_text())
    processor = json.loads((source / "processor_config.json").read_text())["image_processor"]
    (target / "config.json").write_text(json.dumps(_flat(config), indent=2))
    (target / "preprocessor_config.json").write_text(json.dumps(_preprocessor(processor)))
    weights = load_file(source / "model.safetensors")
    names = sorted(weights)
    assert any(name.startswith("visual.blocks.") for name in names)
    assert any(name.startswith("model.layers.") for name in names)
    shards: dict[str, str] = {}
    for number in range(SHARDS):
        file = f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors"
        part = {name: weights[name] for name in names[number::SHARDS]}
        save_file(part, target / file, metadata={"format": "pt"})
        shards |= dict.fromkeys(part, file)
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": shards}
    (target / "model.safetensors.index.json").write_text(json.dumps(index))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    return target


def _flat(config: dict) -> dict:
    text, vision = config["text_config"], config["vision_config"]
    names = (
        *("attention_dropout", "eos_token_id", "hidden_act", "hidden_size", "initializer_range"),
        *("intermediate_size", "max_position_embeddings", "max_window_layers", "rms_norm_eps"),
        *("num_attention_heads", "num_hidden_layers", "num_key_value_heads", "vocab_size"),
    )
    tokens = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    eyes = (
        *("depth", "hidden_act", "hidden_size", "intermediate_size", "num_heads"),
        *("out_hidden_size", "patch_size", "spatial_merge_size", "temporal_patch_size"),
        *("tokens_per_second", "window_size", "fullatt_block_indexes"),
    )
    rope = text["rope_parameters"]
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        **{name: text[name] for name in names},
        **{name: config[name] for name in tokens},
        "pad_token_id": text["pad_token_id"],
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        "sliding_window": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "vision_config": {name: vision[name] for name in eyes} | {"in_chans": 3},
    }


def _preprocessor(image_processor: dict) -> dict:
    names = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std")
    return {
        "min_pixels": image_processor["size"]["shortest_edge"],
        "max_pixels": image_processor["size"]["longest_edge"],
        **{name: image_processor[name] for name in names},
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    }
