"""A cell of a study: one run of an experiment, by what its figures depend on."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from genagent_weights import fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """Stands in a cell's options for what another cell's run has made, which is run first.

    Example: ``Made(by=trained)`` is the folder of the policy that ``trained`` has learnt
    """

    by: "Cell"
    path: str = "policy"
    """In the folder of its run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """Stands in a cell's options for a path in the cell's own folder."""

    path: str


Option = str | Made | Here


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What is run, and under which seed.

    Example: ``Cell(script="rl_flux.py", options=("--steps", "40"), seed=0, title="rl, seed 0")``
    """

    script: str
    """Name of the experiment's file."""
    options: tuple[Option, ...]
    """Its command line but for seed and folders. A word that is a folder or a file counts by its
    content."""
    seed: int
    title: str = field(compare=False)
    """For people; no two cells of a study that differ share one."""
    minutes: float = field(default=1.0, compare=False)
    """About so many of one core, to plan with before any has been measured."""

    @property
    def needs(self) -> tuple["Cell", ...]:
        """Cells whose results its options name."""
        return tuple(dict.fromkeys(o.by for o in self.options if isinstance(o, Made)))

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits over all that was asked for: script, options, seed, the
        content of folders and files, and so of what it needs. Raises OSError for one that cannot be
        read."""
        asked = [self.script, self.seed, *map(_content, self.options)]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def with_needs(cells: "list[Cell]") -> "list[Cell]":
    """Each once, what a cell needs before it."""
    found: dict[Cell, None] = {}
    for cell in cells:
        found |= dict.fromkeys([*with_needs(list(cell.needs)), cell])
    return list(found)


def _content(option: Option) -> object:
    if isinstance(option, Made):
        return ["made", option.by.key, option.path]
    if isinstance(option, Here):
        return ["here", option.path]
    # A word with a slash, so that a folder called "sft" here is not taken for the name of weights.
    path = Path(option)
    if "/" in option and path.is_dir():
        return ["folder", fingerprint(path)]
    if path.suffix and os.path.isfile(path):  # which no word is too long for
        return ["file", hashlib.sha256(path.read_bytes()).hexdigest()]
    return option
