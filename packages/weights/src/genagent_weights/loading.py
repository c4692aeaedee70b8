"""A model from a folder, with every weight from there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genagent_weights.failure import WeightsError
from genagent_weights.folder import check_weights


def load_whole(model_class: Any, folder: Path, **options: Any) -> Any:
    """What the class's ``from_pretrained`` makes of local safetensors.

    Args:
        model_class: of transformers or diffusers.
        options: of its ``from_pretrained``.

    Raises:
        WeightsError: the folder cannot be loaded, or lacks a weight of the model; one line that
            names it.
    """
    check_weights(folder)
    with reading(folder):
        model, report = model_class.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    for kind in ("missing_keys", "mismatched_keys"):
        names = sorted(name if isinstance(name, str) else name[0] for name in report[kind])
        if names:
            raise WeightsError(
                f"{folder}: {kind.replace('_', ' ')} in the weights: {len(names)}, first "
                f"{names[0]}; they do not belong to this config.json"
            )
    return model


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Whatever is wrong with what is read from a checkpoint is one WeightsError. Damaged files have
    made these libraries raise a dozen types with no base but Exception: OSError, SafetensorError,
    ZeroDivisionError, AssertionError, …"""
    try:
        with quiet():
            yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{folder}: the checkpoint cannot be read ({reason[:300]})") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no reports of transformers."""
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
