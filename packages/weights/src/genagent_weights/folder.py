"""A folder of weights as it may be loaded: settings that run no code, and safetensors in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genagent_weights.failure import WeightsError
from genagent_weights.tensors import check_tensors

ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
"""What a checkpoint may ask for. Any other name is a repository of kernels to transformers, whose
code it fetches and runs."""
MAX_SETTINGS = 64 * 1024 * 1024
"""Bytes of a file of settings; tokenizers have 20 MB."""

_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.msgpack", "*.h5")


def check_weights(folder: Path) -> None:
    """Look at what loading it would read, but for the tensors themselves.

    Raises:
        WeightsError: it is no folder that may be loaded; one line that names the file at fault.
    """
    for place, name, value in _settings(read_settings(folder / "config.json")):
        _check_setting(f"{folder / 'config.json'}: {place}", name, value)
    if (folder / "adapter_config.json").exists():
        raise WeightsError(
            f"{folder / 'adapter_config.json'}: an adapter, whose base model is elsewhere; merge "
            "it and give that folder"
        )
    for index in sorted(folder.glob("*.safetensors.index.json")):
        _check_index(index)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted(path.name for kind in _PICKLES for path in folder.glob(kind))
        beside = f", only {pickles[0]}, and pickles are not read" if pickles else ""
        raise WeightsError(f"{folder}: holds no .safetensors file{beside}; save its weights as one")
    for file in files:
        check_tensors(file)


def read_settings(path: Path) -> dict[str, Any]:
    """A file of settings, which is one JSON object.

    Raises:
        WeightsError: it is none, or cannot be read; one line that names it.
    """
    try:
        if path.stat().st_size > MAX_SETTINGS:
            raise WeightsError(f"{path}: has over {MAX_SETTINGS} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path.parent}: no readable {path.name} ({error.strerror})") from error
    except RecursionError as error:
        raise WeightsError(f"{path}: is nested too deeply") from error
    except ValueError as error:
        raise WeightsError(f"{path}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: holds a {type(found).__name__}; wants an object")
    return found


def _settings(settings: dict[str, Any], place: str = "") -> Iterator[tuple[str, str, object]]:
    """Each with its place, those of the model's parts too."""
    for name, value in settings.items():
        yield f"{place}{name}", name, value
        if isinstance(value, dict):
            yield from _settings(value, f"{place}{name}.")


def _check_setting(place: str, name: str, value: object) -> None:
    if any(kind in name for kind in _IMPLEMENTATIONS):
        asked = list(value.values()) if isinstance(value, dict) else [value]
        for one in asked:
            if one is not None and one not in ATTENTION:
                known = ", ".join(ATTENTION[:-1]) + f" or {ATTENTION[-1]}"
                raise WeightsError(f"{place} is {one!r:.80}; wants {known}")
    if name == "transformers_weights" and not _is_own(value, ".safetensors", ".index.json"):
        raise WeightsError(f"{place} is {value!r:.80}; wants a .safetensors file of the folder")


def _check_index(index: Path) -> None:
    shards = read_settings(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise WeightsError(f"{index}: has no weight_map of tensors to files")
    for shard in dict.fromkeys(map(str, shards.values())):
        if not _is_own(shard, ".safetensors"):
            raise WeightsError(f"{index}: names {shard!r:.80}; wants .safetensors files beside it")
        if not (index.parent / shard).is_file():
            raise WeightsError(f"{index}: names {shard!r:.80}, which is not there; copy it again")


def _is_own(name: object, *suffixes: str) -> bool:
    """Whether it is a plain name in the folder, of such a file."""
    return (
        isinstance(name, str)
        and name.endswith(suffixes)
        and not any(sign in name for sign in ("/", "\\", "\0"))
    )
