"""Where a training run stands, on disk: weights, optimizer and what the experiment notes beside.

Each state is a folder of its own, written beside and then renamed; the one before it goes only
afterwards. A process killed at any moment leaves a whole state behind.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from genagent_policy.model import Policy


class Resumable(Protocol):
    """What ``GRPOUpdate`` and ``SFTUpdate`` offer."""

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state: dict[str, object]) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState:
    """A saved state. Example: ``latest_training_state(Path("runs/…/state"))``"""

    path: Path
    step: int
    """Steps taken."""
    notes: Mapping[str, Any]
    """Whatever was given to ``save_training_state``, after a round trip through JSON."""

    @property
    def policy_path(self) -> Path:
        """The weights, as a checkpoint folder."""
        return self.path / "policy"

    def restore(self, update: Resumable) -> None:
        """Put the optimizer where it was. Raises ValueError where it cannot be read."""
        path = self.path / "optimizer.pt"
        try:
            # Tensors and numbers only: a file of somebody else's must not run code.
            update.load_state_dict(torch.load(path, weights_only=True))
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: the optimizer's state cannot be read ({error})") from error


def save_training_state(
    folder: Path, step: int, policy: Policy, update: Resumable, notes: Mapping[str, Any]
) -> None:
    """Keep the state after ``step`` steps in ``folder``, in place of the one before.

    Raises:
        OSError: it cannot be written; the state before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        policy.save(partial / "policy")
        torch.save(update.state_dict(), partial / "optimizer.pt")
        (partial / "notes.json").write_text(json.dumps(dict(notes)), encoding="utf-8")
        target = folder / f"step-{step:06d}"
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except RuntimeError as error:  # torch's writer
        raise OSError(f"cannot write {partial} ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for path in _states(folder)[:-1]:
        shutil.rmtree(path)


def latest_training_state(folder: Path) -> TrainingState | None:
    """The state to go on from; None where there is none."""
    states = _states(folder)
    if not states:
        return None
    path = states[-1]
    return TrainingState(
        path=path,
        step=int(path.name.removeprefix("step-")),
        notes=json.loads((path / "notes.json").read_text(encoding="utf-8")),
    )


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-??????"))
