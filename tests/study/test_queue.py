"""Cells as processes: what is kept, what fails, what happens when the queue itself is ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.ctrl_c import as_in_a_terminal
from tests.study.cells import cell, scripts, store
from tests.waiting import until

from genagent_study import Cell, Made, Pace, run_cells

QUEUE = """
import sys
from pathlib import Path
from genagent_study import Pace, run_cells
from tests.study.cells import cell, store

folder = Path(sys.argv[1])
cells = [cell("--value", "1"), cell("--release", str(folder / "released"), "--value", "2")]
run_cells(cells, store(folder), scripts=folder / "scripts", pace=Pace(), parallel=2)
"""


def run(folder: Path, cells: Sequence[Cell], *, code: str = "c0de0001") -> list[str]:
    """What failed, of those that are not kept."""
    kept = store(folder, code)
    missing = [one for one in cells if kept.find(one) is None]
    how = {"scripts": scripts(folder / "scripts"), "pace": Pace(), "parallel": 2}
    return [f"{one.cell.title}: {one.why}" for one in run_cells(missing, kept, **how)]


def starts(folder: Path, one: Cell) -> list[int]:
    """Processes that have worked on a cell."""
    path = store(folder).path(one) / "runs" / "run-1" / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_failed_is_a_line_and_the_rest_goes_on(tmp_path, capsys):
    first = cell("--value", "1.5")
    failing = cell("--do", "fail")
    cells = [
        cell("--of", Made(by=first, path="."), "--value", "2", title="second"),
        first,
        failing,
        cell("--do", "stop"),
        cell("--of", Made(by=failing, path="."), title="third"),
    ]
    failures = run(tmp_path, cells)
    found = store(tmp_path).results(cells)
    assert [one.title for one in found] == ["second", "--value 1.5"]
    assert found[cells[0]].summary["value"] == 3.5
    assert [line.partition(" (")[0] for line in sorted(failures)] == [
        "--do fail: error: seed is bad",
        "--do stop: no summary of a finished run",
        "third: needs --do fail, which failed",
    ]
    said = capsys.readouterr().out
    assert "FAILED --do fail: error: seed is bad (exit code 3; " in said
    # Only what has no result is run again; what has changed is another cell.
    other = cell("--value", "4")
    run(tmp_path, [first, failing, other])
    assert [len(starts(tmp_path, one)) for one in (first, failing, other)] == [1, 2, 1]


def test_what_a_library_says_at_exit_takes_no_result(tmp_path):
    one = cell("--do", "chatter", "--value", "2")
    assert run(tmp_path, [one]) == []
    assert store(tmp_path).results([one])[one].summary["value"] == 2


def test_a_result_is_of_its_code(tmp_path):
    one = cell("--value", "1")
    run(tmp_path, [one])
    assert store(tmp_path, "c0de0002").find(one) is None
    old = store(tmp_path, "c0de0002", any_code=True).find(one)
    assert old is not None and old.code == "c0de0001"
    run(tmp_path, [one], code="c0de0002")
    new = store(tmp_path, "c0de0002", any_code=True).find(one)
    assert new is not None and new.code == "c0de0002"
    back = store(tmp_path).find(one)
    assert back is not None and back.code == "c0de0001"


def test_a_damaged_record_is_named(tmp_path):
    one = cell("--value", "1")
    run(tmp_path, [one])
    record = store(tmp_path).path(one) / "cell.json"
    about = json.loads(record.read_text())
    assert about["words"][:4] == ["--value", "1", "--seed", "0"]
    record.write_text("{}")
    with pytest.raises(ValueError, match=r"cell\.json is no record of a cell"):
        store(tmp_path).find(one)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda one: one.name)
def test_whatever_ends_the_queue_ends_its_cells_and_loses_nothing(tmp_path, how: signal.Signals):
    scripts(tmp_path / "scripts")
    done = cell("--value", "1")
    waiting = cell("--release", str(tmp_path / "released"), "--value", "2")
    with as_in_a_terminal():
        queue = subprocess.Popen([sys.executable, "-c", QUEUE, str(tmp_path)])
    until(lambda: store(tmp_path).find(done) is not None and starts(tmp_path, waiting))
    [child] = starts(tmp_path, waiting)
    queue.send_signal(how)
    queue.wait(60)
    until(lambda: not is_running(child))
    run_folder = store(tmp_path).path(waiting) / "runs" / "run-1"
    assert (run_folder / "ended").read_text() == "cleanly"
    (tmp_path / "released").touch()
    assert run(tmp_path, [done, waiting]) == []
    assert [len(starts(tmp_path, one)) for one in (done, waiting)] == [1, 2]
    found = store(tmp_path).find(waiting)
    assert found is not None and found.summary["value"] == 2.0
