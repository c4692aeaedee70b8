"""What a study has to do, said before it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genagent_study.cell import Cell, Made, with_needs
from genagent_study.machine import processor
from genagent_study.pace import Pace
from genagent_study.result import Result
from genagent_study.shown import Section
from genagent_study.store import CellStore
from genagent_study.study import Study
from genagent_tracking.progress import clock


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Example: ``print(make_plan(study, sections, store, parallel=2).line())``"""

    cells: tuple[Cell, ...]
    kept: dict[Cell, Result]
    pace: Pace
    """Knows the kept ones that this machine has computed."""
    parallel: int

    @property
    def missing(self) -> list[Cell]:
        return [cell for cell in self.cells if cell not in self.kept]

    def line(self) -> str:
        """Example: ``35 cells: 12 kept, 23 to run, 2 side by side; about 51:00``"""
        said = f"{len(self.cells)} cells: {len(self.kept)} kept, {len(self.missing)} to run"
        if not self.missing:
            return said
        seconds = self.pace.left(self.missing, parallel=self.parallel)
        how = "as long as kept ones took" if self.pace.is_measured else "on cores without AVX-512"
        return f"{said}, {self.parallel} side by side; about {clock(seconds)} ({how})"

    def rows(self) -> list[dict[str, str]]:
        """For a table: what is to run, alike cells of all seeds in one row."""
        rows: dict[str, list[Cell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.title.rpartition(", seed ")[0], []).append(cell)
        return [
            {
                "cells": name,
                "seeds": str(len(alike)),
                "kept": str(sum(cell in self.kept for cell in alike)),
                "minutes each": f"{self.pace.seconds(alike[0]) / 60:.1f}",
            }
            for name, alike in rows.items()
        ]


def make_plan(
    study: Study, sections: Sequence[Section], store: CellStore, *, parallel: int
) -> Plan:
    """What the sections want, and what of it there is. A cell from an archive, which has neither
    weights nor pictures, counts as missing where they are needed, and with it all that was made
    from it.

    Raises:
        ValueError: the record of a kept cell is damaged.
        OSError: one cannot be read.
    """
    cells = with_needs([cell for section in sections for cell in section.all_cells(study)])
    pictured = {
        cell for one in sections if one.shows_pictures for cell in one.cells(study, study.seeds[0])
    }
    found = store.results(cells)
    kept = {cell: one for cell, one in found.items() if one.has_pictures or cell not in pictured}
    while useless := _without_weights(cells, kept) | _made_anew(kept):
        kept = {cell: result for cell, result in kept.items() if cell not in useless}
    pace = Pace()
    for cell, result in kept.items():
        if result.processor == processor():
            pace.took(cell, result.seconds)
    return Plan(cells=tuple(cells), kept=kept, pace=pace, parallel=parallel)


def _without_weights(cells: Sequence[Cell], kept: Mapping[Cell, Result]) -> set[Cell]:
    """Kept ones of which a missing one needs what is not there."""
    wanted = [o for cell in cells if cell not in kept for o in cell.options if isinstance(o, Made)]
    return {
        made.by
        for made in wanted
        if made.by in kept and not (kept[made.by].folder / made.path).exists()
    }


def _made_anew(kept: Mapping[Cell, Result]) -> set[Cell]:
    """Kept ones made from what is going to be run again."""
    return {cell for cell in kept if not kept.keys() >= set(cell.needs)}
