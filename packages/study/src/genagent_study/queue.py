"""Runs a study's cells, some side by side, each in a process of its own.

What has finished is kept at once. A cell that fails is a line, and the others go on without it;
Ctrl-C ends those that run, each with its last whole step kept; after ``kill -9`` they end by
themselves (``follow``). The same study then does what is left.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genagent_study.cell import Cell
from genagent_study.pace import Pace, longest_first
from genagent_study.store import CellStore
from genagent_tracking import print_line
from genagent_tracking.progress import clock, work_progress

_LOOK = 0.2
"""Seconds between two looks at the processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A cell that has no result, and why."""

    cell: Cell
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Process:
    process: subprocess.Popen[bytes]
    began: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


def run_cells(
    cells: Sequence[Cell],
    store: CellStore,
    *,
    scripts: Path,
    pace: Pace,
    parallel: int,
    done: int = 0,
) -> list[Failure]:
    """Run these, and return those that failed.

    Args:
        cells: none of which has a result, with all that they need and that has none either.
        scripts: folder of the experiments.
        pace: is told of each that ends.
        done: how many of the study's cells are there already, to count with.

    Raises:
        KeyboardInterrupt: on Ctrl-C, once the processes have ended.
        OSError: a process cannot be started, or a result not be kept.
    """
    waiting = list(cells)
    running: dict[Cell, _Process] = {}
    failures: dict[Cell, Failure] = {}
    total, ended = done + len(cells), 0
    with work_progress("cells", total, done=done) as show:
        try:
            while waiting or running:
                for cell in [c for c in waiting if failures.keys() & set(c.needs)]:
                    waiting.remove(cell)
                    ended += 1
                    why = f"needs {cell.needs[0].title}, which failed"
                    failures[cell] = _failed(cell, why)
                ready = [c for c in waiting if not set(c.needs) & {*waiting, *running}]
                for cell in longest_first(ready, pace)[: parallel - len(running)]:
                    waiting.remove(cell)
                    running[cell] = _start(cell, store, scripts)
                for cell, one in list(running.items()):
                    if one.process.poll() is None:
                        continue
                    del running[cell]
                    ended += 1
                    kept = _keep(cell, store, one)
                    if isinstance(kept, str):
                        failures[cell] = _failed(cell, kept)
                    else:
                        pace.took(cell, kept)
                        left = _left(pace, waiting, running, parallel)
                        print_line(f"{cell.title}: {clock(kept)}; {left}")
                names = "; ".join(cell.title for cell in running)
                show(done + ended, f"{_left(pace, waiting, running, parallel)}: {names}")
                time.sleep(_LOOK)
        except BaseException:  # Ctrl-C too must not leave cells running; nothing is swallowed
            _stop(list(running.values()))
            raise
    return list(failures.values())


def _left(pace: Pace, waiting: Sequence[Cell], running: dict[Cell, _Process], parallel: int) -> str:
    begun = {cell: one.seconds for cell, one in running.items()}
    seconds = pace.left([*waiting, *running], parallel=parallel, begun=begun)
    return f"about {clock(seconds)} left"


def _start(cell: Cell, store: CellStore, scripts: Path) -> _Process:
    folder = store.path(cell)
    folder.mkdir(parents=True, exist_ok=True)
    script = str((scripts / cell.script).absolute())
    command = [sys.executable, "-m", "genagent_study.follow", script, *store.words(cell)]
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Threads of several processes on shared cores wait for each other, spinning.
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            # Ctrl-C is for this process, which then ends them.
            start_new_session=True,
        )
    return _Process(process=process, began=time.monotonic())


def _keep(cell: Cell, store: CellStore, one: _Process) -> float | str:
    """Keep a cell's result: the seconds that it took, or why there is none."""
    log, code = store.path(cell) / "log.txt", one.process.returncode
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if code:
        last = lines[-1].strip() if lines else "nothing said"
        return f"{last} (exit code {code}; {log})"
    # Libraries have their say behind it, at exit and on standard error.
    told = [line.strip() for line in lines if line.strip().endswith("summary.json")]
    if not told:
        return f"no summary of a finished run ({log})"
    try:
        return store.keep(cell, Path(told[-1]), seconds=one.seconds)
    except (ValueError, FileNotFoundError) as error:
        return f"no summary of a finished run ({error}; {log})"


def _failed(cell: Cell, why: str) -> Failure:
    print_line(f"FAILED {cell.title}: {why}")
    return Failure(cell=cell, why=why)


def _stop(running: Sequence[_Process]) -> None:
    if running:
        print_line(f"stopping {len(running)} cells; each keeps its last whole step")
    for one in running:
        assert one.process.stdin is not None
        one.process.stdin.close()
    for one in running:
        try:
            one.process.wait()
        except KeyboardInterrupt:  # once more: who waits has waited enough
            one.process.kill()
            one.process.wait()
