"""Where a run stands, on disk: what its learner saved and notes beside it, one folder a state."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from genagent_data import write_text


class Learner(Protocol):
    """Whatever learns: ``GRPOUpdate``, ``SFTUpdate``."""

    def save(self, folder: Path) -> None:
        """Write all that going on needs into a new folder, the weights as ``policy/``."""
        ...

    def restore(self, folder: Path) -> None:
        """Go on from what ``save`` wrote; the weights were loaded from there already."""
        ...


def latest_state(folder: Path) -> Path | None:
    """The state to go on from; None where there is none."""
    return max(folder.glob("step-??????"), default=None)


def keep_state(folder: Path, step: int, learner: Learner, notes: Mapping[str, Any]) -> None:
    """Keep the state after ``step`` steps. The one before goes when this one is whole, so that a
    process killed at any moment leaves a whole state behind.

    Raises:
        OSError: it cannot be written; the state before is still there.
    """
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    learner.save(partial)
    write_text(partial / "notes.json", json.dumps(dict(notes)))
    before = sorted(folder.glob("step-??????"))
    partial.rename(folder / f"step-{step:06d}")
    for path in before:
        shutil.rmtree(path)


def read_notes(state: Path) -> dict[str, Any]:
    """The notes of a state."""
    return json.loads((state / "notes.json").read_text(encoding="utf-8"))


def copy_linked(source: Path, target: Path) -> None:
    """A folder again, by hard links where the disk has them: a policy of 7B takes 16 GB once."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial, copy_function=os.link)
    except shutil.Error:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
