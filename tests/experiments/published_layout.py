"""Checkpoint folders in the layout in which Qwen2.5-VL is published: a flat configuration of
transformers 4, weights in three shards with an index, a preprocessor's file."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SHARDS = 3

FIRST_CONTROL = 151_643
CONTROL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>"),
    *("</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
SPECIAL = 14
"""So many of them are special tokens; the others, from ``<tool_call>`` on, are plain ones."""

CHAT_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|>\
<|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

STOCK_CONFIG = """{
  "architectures": ["Qwen2_5_VLForConditionalGeneration"],
  "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
  "vision_start_token_id": 151652, "vision_end_token_id": 151653, "vision_token_id": 151654,
  "image_token_id": 151655, "video_token_id": 151656, "hidden_act": "silu",
  "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64,
  "max_position_embeddings": 128000, "max_window_layers": 28, "model_type": "qwen2_5_vl",
  "num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1,
  "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
  "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": true,
  "use_sliding_window": false,
  "vision_config": {
    "depth": 2, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
    "in_chans": 3, "out_hidden_size": 32, "patch_size": 14, "spatial_merge_size": 2,
    "spatial_patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1],
    "tokens_per_second": 2, "temporal_patch_size": 2
  },
  "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
  "vocab_size": 152064
}"""
"""The published file with other widths, depths and sections; ``tie_word_embeddings`` is added."""

STOCK_PREPROCESSOR = """{
  "min_pixels": 3136, "max_pixels": 12845056,
  "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
  "image_mean": [0.48145466, 0.4578275, 0.40821073],
  "image_std": [0.26862954, 0.26130258, 0.27577711],
  "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"
}"""

STOCK_GENERATION = """{
  "bos_token_id": 151643, "pad_token_id": 151643, "eos_token_id": [151645, 151643],
  "do_sample": true, "repetition_penalty": 1.05, "temperature": 1e-06,
  "transformers_version": "4.49.0"
}"""


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
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    _check_names(weights)
    save_shards(weights, target)
    return target


def publish_random(target: Path, *, tied: bool) -> Path:
    """A random policy in everything but its widths like Qwen2.5-VL-7B-Instruct, or, tied, the 3B:
    vocabulary, special tokens, files, names, bfloat16. 23 MB, or half of that."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    target.mkdir(parents=True)
    save_tokenizer(target, CONTROL)
    config = json.loads(STOCK_CONFIG) | {"tie_word_embeddings": tied}
    (target / "config.json").write_text(json.dumps(config))
    (target / "preprocessor_config.json").write_text(STOCK_PREPROCESSOR)
    (target / "generation_config.json").write_text(STOCK_GENERATION)
    torch.manual_seed(int(tied))
    with tempfile.TemporaryDirectory() as scratch:
        shape = Qwen2_5_VLConfig.from_pretrained(target)
        model = Qwen2_5_VLForConditionalGeneration(shape)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5.0)  # Or its distributions would all but be flat.
        model.bfloat16().save_pretrained(scratch)
        weights = load_file(Path(scratch) / "model.safetensors")
    assert ("lm_head.weight" in weights) != tied
    _check_names(weights)
    save_shards(weights, target)
    return target


def _check_names(weights: dict[str, torch.Tensor]) -> None:
    assert any(name.startswith("visual.blocks.") for name in weights)
    assert any(name.startswith("model.layers.") for name in weights)


def save_shards(weights: dict[str, torch.Tensor], target: Path) -> None:
    names = sorted(weights)
    shards: dict[str, str] = {}
    for number in range(SHARDS):
        file = f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors"
        part = {name: weights[name] for name in names[number::SHARDS]}
        save_file(part, target / file, metadata={"format": "pt"})
        shards |= dict.fromkeys(part, file)
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": shards}
    (target / "model.safetensors.index.json").write_text(json.dumps(index))


def save_tokenizer(target: Path, control: Sequence[str]) -> None:
    """Bytes, then words that are never merged up to the published ones' number, then theirs."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"word{number}" for number in range(len(alphabet), FIRST_CONTROL))]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    added = [
        AddedToken(token, special=number < SPECIAL, normalized=False)
        for number, token in enumerate(control)
    ]
    tokenizer.add_tokens(added)
    assert tokenizer.token_to_id("<|endoftext|>") == FIRST_CONTROL
    assert tokenizer.token_to_id("<|file_sep|>") == 151664
    tokenizer.save(str(target / "tokenizer.json"), pretty=False)
    (target / "vocab.json").write_text(json.dumps(vocabulary))
    (target / "merges.txt").write_text("")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(FIRST_CONTROL + number): {"content": token, **flags, "special": number < SPECIAL}
            for number, token in enumerate(control)
        },
        "additional_special_tokens": [*control[1:SPECIAL]],
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(settings))


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
