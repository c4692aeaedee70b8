"""Reading and writing checkpoint folders in the layout of ``from_pretrained``."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from genagent_policy.families import check_model_type, family_of
from genagent_policy.legacy_keys import write_legacy_keys
from genagent_weights import load_whole, quiet, read_settings, reading

if TYPE_CHECKING:
    import torch

    from genagent_policy.adapter import Adapter
    from genagent_policy.model import Model, Processor


ADAPTER = "adapter"
"""Folder of an adapter within a checkpoint's."""


def load_model(path: Path, *, dtype: "torch.dtype | None" = None) -> "Model":
    """The model, on the CPU, from local files.

    Raises:
        ValueError: not a readable, complete checkpoint of a supported family.
    """
    model_class, _ = _classes(path)
    return load_whole(model_class, path, dtype="auto" if dtype is None else dtype)


def load_processor(path: Path, *, max_pixels: int | None = None) -> "Processor":
    """Tokenizer and image processor from local files; no weight is read.

    Args:
        max_pixels: larger pictures are made smaller; None: as the checkpoint says.

    Raises:
        ValueError: they cannot be read, or a picture of one token is larger.
    """
    from genagent_policy.patches import limit_size  # which loads torch

    _, processor_class = _classes(path)
    with reading(path):
        processor = processor_class.from_pretrained(path, local_files_only=True)
    if max_pixels is not None:
        try:
            limit_size(processor.image_processor, max_pixels)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return processor


def read_vocabulary(path: Path) -> int:
    """How many ids the model has a logit for, which may be more than the tokenizer knows; no weight
    is read.

    Raises:
        ValueError: no readable configuration of a supported family.
    """
    model_class, _ = _classes(path)
    with reading(path):
        config = model_class.config_class.from_pretrained(path, local_files_only=True)
    return config.get_text_config().vocab_size


def save_checkpoint(
    model: "Model",
    processor: "Processor",
    path: Path,
    weights: "dict[str, torch.Tensor] | None" = None,
    adapter: "Adapter | None" = None,
) -> None:
    """Write beside ``path`` and then rename, so that no half-written checkpoint is ever seen.

    An adapter goes into the weights, and into a folder of its own inside. Older releases of
    transformers can read it too.

    Args:
        weights: by the names of a checkpoint, where the model's own are shared out or lack what an
            adapter adds.
        adapter: that has them in it.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    previous = path.with_name(f".{path.name}.{os.getpid()}.previous")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with quiet():
                model.save_pretrained(partial, state_dict=weights)
                processor.save_pretrained(partial)
                if adapter is not None:
                    adapter.save(partial / ADAPTER)
            write_legacy_keys(partial, family_of(model.config.model_type))
        except SafetensorError as error:
            raise OSError(f"cannot write the weights to {partial} ({error})") from error
        if path.exists():
            path.rename(previous)
        partial.rename(path)
    except OSError:
        if previous.exists() and not path.exists():
            previous.rename(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if path.exists():
            shutil.rmtree(previous, ignore_errors=True)


def check_architecture(path: Path) -> dict[str, Any]:
    """The configuration of a checkpoint.

    Raises:
        ValueError: there is none, or that of no supported family.
    """
    if not (path / "config.json").is_file():
        raise ValueError(f"{path}: no readable config.json; give a checkpoint folder")
    found = read_settings(path / "config.json")
    try:
        check_model_type(found.get("model_type"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def _classes(path: Path) -> tuple[Any, Any]:
    return family_of(check_architecture(path)["model_type"]).classes()
