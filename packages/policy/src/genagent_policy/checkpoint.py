"""Reading and writing checkpoint folders in the layout of ``from_pretrained``."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safetensors import SafetensorError

from genagent_policy.families import check_model_type, family_of
from genagent_policy.legacy_keys import write_legacy_keys

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
    try:
        with _quiet():
            loaded = model_class.from_pretrained(
                path,
                dtype="auto" if dtype is None else dtype,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            processor = processor_class.from_pretrained(path, local_files_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path}: the checkpoint cannot be read ({reason})") from error
    model, report = cast("tuple[Model, dict[str, Any]]", loaded)
    for kind in ("missing_keys", "mismatched_keys"):
        names = sorted(name if isinstance(name, str) else name[0] for name in report[kind])
        if names:
            raise ValueError(
                f"{path}: {kind.replace('_', ' ')} in the weights: {len(names)}, first {names[0]}; "
                "they do not belong to this config.json"
            )
    return model, processor


def save_checkpoint(
    model: "Model", processor: "Processor", path: Path, *, adapter: "Adapter | None" = None
) -> None:
    """Write beside ``path`` and then rename, so that no half-written checkpoint is ever seen.

    An adapter goes into the weights, and into a folder of its own inside. Older releases of
    transformers can read it too.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    previous = path.with_name(f".{path.name}.{os.getpid()}.previous")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _quiet():
                weights = None
                if adapter is not None:  # in the host's memory: a GPU has no room for them twice
                    weights = {name: tensor.cpu() for name, tensor in adapter.merged()}
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
    config = path / "config.json"
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: no readable config.json; give a checkpoint folder") from error
    except ValueError as error:
        raise ValueError(f"{path}: config.json is not JSON ({error})") from error
    try:
        check_model_type(found.get("model_type") if isinstance(found, dict) else None)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no reports: what is wrong goes into the one error raised here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
