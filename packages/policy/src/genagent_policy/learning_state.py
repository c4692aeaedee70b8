"""Where learning stands, on disk: the policy as a checkpoint folder and the optimizer beside it."""

import pickle
from pathlib import Path
from typing import Any, cast

import torch

from genagent_policy.model import Policy
from genagent_policy.ranks import ALONE, Ranks


def save_learning_state(
    folder: Path, policy: Policy, state: dict[str, Any], ranks: Ranks = ALONE
) -> None:
    """Write ``policy/`` and ``optimizer.pt``: whole, by the first rank, and all take part. Raises
    OSError where they cannot be written."""
    policy.save(folder / "policy", ranks)
    if ranks.rank == 0:
        save_tensors(folder / "optimizer.pt", state)


def read_optimizer_state(folder: Path) -> dict[str, Any]:
    """What was saved beside the policy; the optimizer's own state is under ``optimizer``.

    Raises:
        ValueError: it cannot be read, or is something else; names the file.
    """
    path = folder / "optimizer.pt"
    state = read_tensors(path, "the optimizer's state")
    if not isinstance(state, dict) or not isinstance(state.get("optimizer"), dict):
        raise ValueError(f"{path} holds no optimizer's state, but a {type(state).__name__}")
    return cast("dict[str, Any]", state)


def save_tensors(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and numbers. Raises OSError where they cannot be written."""
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch's writer
        raise OSError(f"cannot write {path} ({error})") from error


def read_tensors(path: Path, what: str) -> object:
    """What ``save_tensors`` wrote.

    Args:
        what: it is, for the message.

    Raises:
        ValueError: it cannot be read; names the file.
    """
    try:
        # Tensors and numbers only: a file of somebody else's must not run code. Mapped, so that the
        # ranks of a machine share what each takes its part of: 91 GB at 8 billion parameters.
        return torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except (
        *(OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, TypeError),
        pickle.UnpicklingError,
    ) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: {what} cannot be read ({said})") from error
