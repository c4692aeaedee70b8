"""Runs a script that ends when whoever started it has ended, however that was.

    python -m genagent_study.follow SCRIPT [WORD …] < a pipe that is held open

A study killed by ``kill -9`` would leave its runs behind, each holding its folder against the next
start. The pipe's other end closes with the process that holds it; the script then gets SIGTERM, by
which a run keeps its last whole step.
"""

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

PATIENCE = 120.0
"""Seconds for a clean end."""


def main() -> None:
    """Run the script as ``python SCRIPT`` would."""
    threading.Thread(target=_end_with_starter, name="follow", daemon=True).start()
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def _end_with_starter() -> None:
    # Not sys.stdin: a thread that waits in it keeps the interpreter from ending.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
