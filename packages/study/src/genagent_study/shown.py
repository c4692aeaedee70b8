"""What a section of a study shows, before it is a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from genagent_study.cell import Cell
from genagent_study.over_seeds import OverSeeds, in_percent
from genagent_study.pattern import Pattern
from genagent_study.result import Result
from genagent_study.study import Study

Results = Mapping[Cell, Result]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of equal columns; the first one is words."""

    title: str
    rows: Sequence[Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A picture of figures."""

    title: str
    png: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """Somebody's words, with the picture that they are about."""

    who: str
    words: str
    png: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One request, and what was said on the way to its pictures, in order."""

    title: str
    said: Sequence[Said]
    right: bool | None = None
    """How it ended, where that is worth a mark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A section's content, in the order shown."""

    about: str
    """What is compared, and how to read it."""
    patterns: Sequence[Pattern] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    examples: Sequence[Example] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a study: which cells it wants, and what becomes of them.

    Example: ``Section(name="table5", title="Table 5", cells=cells, show=show)``
    """

    name: str
    title: str
    cells: Callable[[Study, int], Sequence[Cell]]
    """Those of a seed."""
    show: Callable[[Study, Results, Sequence[int]], Shown]
    """Is given the seeds all of whose cells there are, of which there is at least one."""
    shows_pictures: bool = False
    """Of its first seed."""

    def all_cells(self, study: Study) -> list[Cell]:
        """Of all seeds."""
        return [cell for seed in study.seeds for cell in self.cells(study, seed)]

    def whole_seeds(self, study: Study, results: Results) -> list[int]:
        """Seeds all of whose cells have finished."""
        return [s for s in study.seeds if all(cell in results for cell in self.cells(study, s))]


def percent(figure: OverSeeds | None) -> str:
    """Of shares; a dash where no seed has any. Example: ``76.4 [74.0, 78.8]``"""
    if figure is None:
        return "-"
    low, high = figure.interval
    interval = f" [{100 * max(low, 0):.1f}, {100 * min(high, 1):.1f}]" if figure.n > 1 else ""
    return f"{100 * figure.value:.1f}{interval}"


def points(figure: OverSeeds) -> str:
    """Of differences of shares. Example: ``+12.3 [+8.0, +16.6]``"""
    return number(in_percent(figure), digits=1, sign="+")


def number(figure: OverSeeds | None, *, digits: int = 2, sign: str = "-") -> str:
    """Example: ``1.40 [1.35, 1.45]``; without an interval where there is one seed, a dash where
    there is none."""
    if figure is None:
        return "-"
    form = f"{sign}.{digits}f"
    low, high = figure.interval
    shown = f"{figure.value:{form}}"
    return shown if figure.n < 2 else f"{shown} [{low:{form}}, {high:{form}}]"
