"""What transformers 4, and what is built on it, wants to find in a checkpoint that 5 has written.

Version 5 renamed settings, moved the image processor's into another file, and lists special tokens
under a key that meant something else before. Both read what is left here: 5 takes the older keys
too, to the same effect. Tried with 4.57 and 5.23.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genagent_policy.families.family import Family


def write_legacy_keys(folder: Path, family: "Family") -> None:
    """Add them to the files of ``save_pretrained``.

    Raises:
        OSError: a file cannot be written.
    """
    config = _read(folder / "config.json")
    text = config["text_config"]
    rope = dict(text["rope_parameters"])
    text["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    text["rope_scaling"] = {**rope, **family.legacy_rotation(kind)}
    text["tie_word_embeddings"] = config["tie_word_embeddings"]
    config["torch_dtype"] = config["dtype"]
    _write(folder / "config.json", config)

    pictures = _read(folder / "processor_config.json")["image_processor"]
    pictures["min_pixels"] = pictures["size"]["shortest_edge"]
    pictures["max_pixels"] = pictures["size"]["longest_edge"]
    _write(folder / "preprocessor_config.json", pictures)

    tokenizer = _read(folder / "tokenizer_config.json")
    if special := tokenizer.pop("extra_special_tokens", None):
        tokenizer["additional_special_tokens"] = special
    if tokenizer["tokenizer_class"] == "TokenizersBackend":
        tokenizer["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write(folder / "tokenizer_config.json", tokenizer)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
