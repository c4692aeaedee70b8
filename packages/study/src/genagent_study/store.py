"""The cells of a study on disk.

    <folder>/<script>-<key>-<code>/
        cell.json      what it was and how long it took: there once the run has finished
        log.txt        what its process said
        runs/<run>/    the run's own folder
        …              whatever else the cell's options put there (``Here``)

A cell is kept until its folder is removed: one whose options, weights or code change has another
folder, and the old one waits for the change to be taken back.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genagent_data import write_text
from genagent_study.cell import Cell, Here, Made
from genagent_study.machine import processor
from genagent_study.result import Result
from genagent_tracking.provenance import source_tags

RUNS = "runs"


@dataclass(frozen=True, kw_only=True)
class CellStore:
    """See the module.

    Example: ``CellStore(folder=Path("reproduced/cells"), code="5f0c11de")``
    """

    folder: Path
    code: str
    """As ``code_version`` gives it."""
    any_code: bool = False
    """Take results of other code for results too."""

    def path(self, cell: Cell) -> Path:
        """Where a cell is run by this code, whether it has been or not."""
        return self.folder / f"{Path(cell.script).stem}-{cell.key}-{self.code}"

    def find(self, cell: Cell) -> Result | None:
        """What a cell came to; None where it has not finished.

        Raises:
            ValueError: its record is damaged; the message names the file.
            OSError: it cannot be read.
        """
        own = self.path(cell)
        others = self.folder.glob(f"*-{cell.key}-*") if self.any_code else ()
        latest = sorted(others, key=_finished, reverse=True)
        for folder in (own, *(path for path in latest if path != own)):
            record = folder / "cell.json"
            if not record.exists():
                continue
            try:
                about = json.loads(record.read_text(encoding="utf-8"))
                return Result(
                    folder=folder / about["run"],
                    cell_folder=folder,
                    seconds=float(about["seconds"]),
                    code=about["code"],
                    commit=about["commit"],
                    processor=about["processor"],
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{record} is no record of a cell ({error!r}); remove its folder to run it "
                    "again"
                ) from error
        return None

    def results(self, cells: "list[Cell]") -> dict[Cell, Result]:
        """Those of the cells that have finished."""
        found = {cell: self.find(cell) for cell in cells}
        return {cell: result for cell, result in found.items() if result is not None}

    def words(self, cell: Cell) -> list[str]:
        """The cell's command line behind the script's name.

        Raises:
            ValueError: a cell that it needs has not finished.
        """
        folder = self.path(cell)
        store = f"sqlite:///{(self.folder.parent / 'mlflow.db').absolute()}"
        words = [self._word(cell, option) for option in cell.options]
        words += ["--seed", str(cell.seed), "--runs", str((folder / RUNS).absolute())]
        return [*words, "--tracker.uri", store, "--tracker.run-name", cell.title, "--resume"]

    def keep(self, cell: Cell, summary: Path, *, seconds: float) -> float:
        """A cell's run has finished; returns the seconds that it took.

        Args:
            summary: its ``summary.json``.
            seconds: of its process; a run that went on says what it took before.

        Raises:
            ValueError: it says something else, or lies elsewhere.
            OSError: the record cannot be written.
        """
        folder = self.path(cell)
        figures = json.loads(summary.read_text(encoding="utf-8"))
        if figures.get("status") != "finished":
            raise ValueError(f"{summary} says {figures.get('status')}; wants finished")
        seconds = max(seconds, figures.get("seconds", 0.0))
        about = {
            "title": cell.title,
            "script": cell.script,
            "words": self.words(cell),
            "run": summary.parent.resolve().relative_to(folder.resolve()).as_posix(),
            "seconds": seconds,
            "code": self.code,
            "commit": self._commit,
            "processor": processor(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
        }
        write_text(folder / "cell.json", json.dumps(about, indent=2))
        return seconds

    def _word(self, cell: Cell, option: str | Made | Here) -> str:
        if isinstance(option, Here):
            return str((self.path(cell) / option.path).absolute())
        if not isinstance(option, Made):
            return option
        made = self.find(option.by)
        if made is None:
            raise ValueError(f"{cell.title} needs {option.by.title}, which has not finished")
        return str((made.folder / option.path).absolute())

    @cached_property
    def _commit(self) -> str:
        return commit()


def commit() -> str:
    """Of the code that runs, with ``+`` where something in it is not committed; empty where that is
    not known."""
    tags = source_tags(Path(__file__).parent)
    known = tags.get("mlflow.source.git.commit", "")[:10]
    return known + "+" * (tags.get("git.dirty") == "true")


def _finished(folder: Path) -> str:
    path = folder / "cell.json"
    about: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return str(about.get("finished", ""))
