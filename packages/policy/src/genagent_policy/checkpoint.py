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


def load_checkpoint(path: Path, *, dtype: "torch.dtype | None" = None) -> "tuple[Model, Processor]":
    """Model (on the CPU) and processor from local files.

    Raises:
        ValueError: not a readable, complete checkpoint of a supported family.
    """
    model_class, processor_class = family_of(check_architecture(path)["model_type"]).classes()
    model = load_whole(model_class, path, dtype="auto" if dtype is None else dtype)
    with reading(path):
        processor = processor_class.from_pretrained(path, local_files_only=True)
    return model, processor


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
