"""Cells that take no time: a script that does what its words say, as an experiment would."""

from pathlib import Path

from genagent_study import Cell, CellStore, Made

SCRIPT = '''
"""Writes what it was given into a run's folder and prints where, or fails, or waits."""
import argparse, json, os, signal, sys, time
from pathlib import Path

told = argparse.ArgumentParser()
told.add_argument("--do", default="finish")
told.add_argument("--value", type=float, default=0.0)
told.add_argument("--of", default="")
told.add_argument("--release", default="")
for name in ("seed", "runs", "tracker.uri", "tracker.run-name"):
    told.add_argument(f"--{name}")
told.add_argument("--resume", action="store_true")
told = told.parse_args()
run = Path(told.runs) / "run-1"
run.mkdir(parents=True, exist_ok=True)
with (run / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\\n")
if told.do == "fail":
    print("error: seed is bad", file=sys.stderr)
    raise SystemExit(3)
if told.release:
    def end(number, frame):
        (run / "ended").write_text("cleanly")
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, end)
    while not Path(told.release).exists():
        time.sleep(0.05)
if told.of:
    told.value += json.loads((Path(told.of) / "summary.json").read_text())["value"]
status = "killed" if told.do == "stop" else "finished"
summary = {"status": status, "value": told.value, "seconds": 0.5}
(run / "summary.json").write_text(json.dumps(summary))
(run / "policy").mkdir(exist_ok=True)
(run / "policy" / "summary.json").write_text(json.dumps(summary))
print(run / "summary.json")
if told.do == "chatter":
    print("resource_tracker: there appear to be 1 leaked objects " + "x" * 300, file=sys.stderr)
'''


def scripts(folder: Path) -> Path:
    """A folder with the script in it."""
    folder.mkdir(exist_ok=True)
    (folder / "job.py").write_text(SCRIPT)
    return folder


def cell(*options: str | Made, seed: int = 0, minutes: float = 1.0, title: str = "") -> Cell:
    words = title or " ".join(map(str, options))
    return Cell(script="job.py", options=options, seed=seed, title=words, minutes=minutes)


def store(folder: Path, code: str = "c0de0001", *, any_code: bool = False) -> CellStore:
    return CellStore(folder=folder / "cells", code=code, any_code=any_code)
