"""The cells of a study on disk.

    <folder>/<script>-<key>-<code>/
        cell.json      what it was and how long it took: there once the run has finished
        log.txt        what its process said
        runs/<run>/    the run's own folder
        …              whatever else the cell's options put there (``Here``)

A cell is kept until its folder is removed: one whose options, weights or code change has another
folder, and the old one waits for the change to be taken back. One that was made from another cell's
policy counts as long as that is the very policy: a training that has been run again has its
evaluations run again. With an ``archive``, cells that are not here are taken from there, without
pictures and weights (into ``archived/`` beside this folder), and finished ones are put there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from genagent_data import write_text
from genagent_study.archive import ENDING, RECORD, pack, unpack
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
    archive: Path | None = None
    """Folder of finished cells, a file each (``archive.py``)."""

    def path(self, cell: Cell) -> Path:
        """Where a cell is run by this code, whether it has been or not."""
        return self.folder / f"{Path(cell.script).stem}-{cell.key}-{self.code}"

    def find(self, cell: Cell) -> Result | None:
        """What a cell came to; None where it has not finished.

        Raises:
            ValueError: its record is damaged; the message names the file.
            OSError: it cannot be read.
        """
        needs = {one.key: self.find(one) for one in cell.needs}
        made_from = {key: found.finished for key, found in needs.items() if found is not None}
        for folder in self._folders(cell):
            if (found := _read(folder)) is not None and found.needs == made_from:
                return found
        return None

    def _folders(self, cell: Cell) -> Iterator[Path]:
        """Where a result may be, the likeliest first."""
        own, code = self.path(cell), "*" if self.any_code else self.code
        if self.archive is not None:
            files = sorted(self.archive.glob(f"*-{cell.key}-{code}{ENDING}"))
            unpack(files, self._archived)
        yield own
        yield self._archived / own.name
        if self.any_code:
            places = (self.folder, self._archived)
            others = [path for place in places for path in place.glob(f"*-{cell.key}-*")]
            yield from sorted(others, key=_finished, reverse=True)

    @property
    def _archived(self) -> Path:
        return self.folder.parent / "archived"

    def results(self, cells: "list[Cell]") -> dict[Cell, Result]:
        """Those of the cells that have finished."""
        found = {cell: self.find(cell) for cell in cells}
        return {cell: result for cell, result in found.items() if result is not None}

    def share(self, results: Iterable[Result]) -> None:
        """Put those into the archive that it does not have. Raises OSError."""
        if self.archive is None:
            return
        for result in results:
            if not (self.archive / f"{result.cell_folder.name}{ENDING}").exists():
                pack(result.cell_folder, self.archive, place=self.folder.parent)

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
            "finished": datetime.now().isoformat(),
            "needs": {
                one.key: made.finished for one in cell.needs if (made := self.find(one)) is not None
            },
        }
        write_text(folder / RECORD, json.dumps(about, indent=2))
        if self.archive is not None:
            pack(folder, self.archive, place=self.folder.parent)
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


def _read(folder: Path) -> Result | None:
    record = folder / RECORD
    if not record.exists():
        return None
    try:
        about = json.loads(record.read_text(encoding="utf-8"))
        return Result(
            folder=folder / about["run"],
            cell_folder=folder,
            seconds=float(about["seconds"]),
            code=about["code"],
            commit=about["commit"],
            processor=about["processor"],
            finished=about["finished"],
            needs=dict(about["needs"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{record} is no record of a cell ({error!r}); remove its folder to run it again"
        ) from error


def commit() -> str:
    """Of the code that runs, with ``+`` where something in it is not committed; empty where that is
    not known."""
    tags = source_tags(Path(__file__).parent)
    known = tags.get("mlflow.source.git.commit", "")[:10]
    return known + "+" * (tags.get("git.dirty") == "true")


def _finished(folder: Path) -> str:
    path = folder / RECORD
    about: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return str(about.get("finished", ""))
