"""A run's figures by step, in its folder: ``metrics.jsonl``, a line each time some are recorded.

    {"step": 3, "agent/reward": 0.81, "agent/success": 0.62, …}

A step that is done again, after a kill, has a second line, and the last one holds.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genagent_data import KeptLines


class StepFigures:
    """The file while a run writes it."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ValueError: there is a file with something else.
            OSError: it cannot be read or written.
        """
        self._lines = KeptLines(figures_file(folder), _figures)

    def add(self, figures: Mapping[str, float], step: int) -> None:
        """One more line; what is no finite number is null. Raises OSError."""
        known = {
            name: float(value) if math.isfinite(value) else None for name, value in figures.items()
        }
        self._lines.add({"step": step, **known})

    def close(self) -> None:
        self._lines.close()


def figures_file(folder: Path) -> Path:
    """Where a run keeps them."""
    return folder / "metrics.jsonl"


def read_figures(folder: Path) -> dict[str, dict[int, float]]:
    """Each figure's values by step, steps in order; what is null is left out.

    Raises:
        ValueError: a line holds something else; the message names file and line number. Half of a
            last line, as a kill leaves it, is left out.
        OSError: the file cannot be read.
    """
    path = figures_file(folder)
    if not path.exists():
        return {}
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    latest: dict[str, dict[int, float]] = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            step, figures = _figures(json.loads(line))
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        for name, value in figures.items():
            latest.setdefault(name, {})[step] = value
    return {name: dict(sorted(values.items())) for name, values in latest.items()}


def _figures(row: dict[str, Any]) -> tuple[int, dict[str, float]]:
    step = row.pop("step", None)
    if not isinstance(step, int):
        raise ValueError(f'"step" is {step!r}; wants a whole number')
    known = {name: value for name, value in row.items() if value is not None}
    for name, value in known.items():
        if not isinstance(value, int | float):
            raise ValueError(f"{name!r} is {value!r:.40}; wants a number")
    return step, known
