"""Where a run stands, on disk: what its learner saved and notes beside it, one folder a state.

    state/step-000007/
        policy/           a checkpoint folder, as from_pretrained reads it
        optimizer.pt      what else the learner goes on from
        sampler.pt        with one_step_off: the weights that the next step is sampled with
        notes.json        steps taken, seconds spent
        checksums.json    size and SHA-256 of each of these files

Nothing else needs keeping: requests, noise, coins and records follow from the run's seed and the
step's number. Each state stands by itself. Hard links between two would save the room of what does
not change, which is a tokenizer, and lose both to one bad block.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from genagent_data import sync_folder, sync_tree, write_text
from genagent_tracking.checksums import damage, write_checksums


class Learner(Protocol):
    """Whatever learns: ``GRPOUpdate``, ``SFTUpdate``."""

    def save(self, folder: Path) -> None:
        """Write all that going on needs into a new folder, the weights as ``policy/``."""
        ...

    def restore(self, folder: Path) -> None:
        """Go on from what ``save`` wrote; the weights were loaded from there already."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Notes:
    """What is noted beside a state. Example: ``Notes(step=7, seconds=812.5)``"""

    step: int
    """Steps taken."""
    seconds: float
    """Spent on them."""


class States:
    """The states of one run, the last few of them; one process writes them."""

    def __init__(self, folder: Path, *, keep: int, say: Callable[[str], None]) -> None:
        """
        Args:
            keep: states that stay, at least one.
            say: told of each that is damaged, in a line.
        """
        self._folder = folder
        self._keep = keep
        self._say = say
        self._damaged: list[Path] = []
        self._latest: Path | None = None

    @property
    def latest(self) -> Path | None:
        """The state to go on from, its checksums verified once for the process; None: there is
        none yet. One that is damaged is named, and the one before it is taken.

        Raises:
            ValueError: there are states, and all of them are damaged.
        """
        return self._latest or self._found

    @property
    def notes(self) -> Notes | None:
        """Of the latest. Raises ValueError as ``latest``."""
        return None if self.latest is None else read_notes(self.latest)

    def keep(self, learner: Learner, notes: Notes) -> None:
        """Keep where the learner is now. Older ones go when this one is whole and on the disk, so
        that a process killed at any moment, or a machine, leaves a whole state behind.

        Raises:
            OSError: it cannot be written; the states before are still there, and their room too.
        """
        before = self.latest
        partial = self._folder / ".partial"
        state = self._folder / f"step-{notes.step:06d}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            learner.save(partial)
            write_text(partial / "notes.json", json.dumps(asdict(notes)))
            write_checksums(partial)
            sync_tree(partial)
            if state != before and state.exists():  # damaged, and made again
                shutil.rmtree(state)
            partial.rename(state)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(self._folder)
        self._latest = state
        for path in self._damaged:
            if path != state:
                shutil.rmtree(path, ignore_errors=True)
        self._damaged = []
        for path in self._all()[: -self._keep]:
            shutil.rmtree(path)

    @cached_property
    def _found(self) -> Path | None:
        """What an earlier process has left."""
        reasons = []
        for state in reversed(self._all()):
            reason = damage(state) or _notes_fault(state)
            if reason is None:
                for broken, why in zip(self._damaged, reasons, strict=True):
                    self._say(f"{broken} is damaged ({why}); going on from {state.name}")
                return state
            self._damaged.append(state)
            reasons.append(reason)
        if self._damaged:
            each = "; ".join(
                f"{path.name} ({why})" for path, why in zip(self._damaged, reasons, strict=True)
            )
            raise ValueError(
                f"{self._folder} holds no whole state: {each}; put one back, or begin a new run"
            )
        return None

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-??????"))


def read_notes(state: Path) -> Notes:
    """The notes of a state.

    Raises:
        ValueError: they are damaged; names the file.
    """
    path = state / "notes.json"
    try:
        row: Any = json.loads(path.read_text(encoding="utf-8"))
        notes = Notes(**row)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} holds no notes of a state ({error})") from error
    if type(notes.step) is not int or not isinstance(notes.seconds, int | float):
        raise ValueError(f"{path} holds no notes of a state ({row!r:.80})")
    return notes


def _notes_fault(state: Path) -> str | None:
    try:
        read_notes(state)
    except ValueError as error:
        return str(error)
    return None


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
