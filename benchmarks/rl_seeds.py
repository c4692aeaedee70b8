"""The default run over several seeds, and the readings of the pair reward side by side.

    uv run benchmarks/rl_seeds.py --seeds 0 1 2 3 4 5
    uv run benchmarks/rl_seeds.py --seeds 0 1 2 --readings zero literal if_passed none

Each run is ``experiments/rl_flux.py`` in a process of its own; what follows ``--`` goes to it. Runs
whose summary is already in the work folder are not run again, and one that was killed goes on.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro

from genagent_data import write_text
from genagent_tracking import print_line, print_table, waiting

SCRIPT = Path(__file__).parents[1] / "experiments" / "rl_flux.py"


@dataclass(frozen=True, kw_only=True)
class SeedsConfig:
    """Which runs to make."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    readings: tuple[str, ...] = ("if_passed",)
    """Readings of the pair reward of a single round: zero, literal, if_passed, none."""
    work: Path = Path("runs/seeds")
    parallel: int = 2
    """Processes at a time, one thread each."""


def main(config: SeedsConfig, options: list[str]) -> None:
    """Run what is missing, then print one row a run and one a reading."""
    jobs = [(reading, seed) for seed in config.seeds for reading in config.readings]
    with waiting(f"{len(jobs)} runs"), ThreadPoolExecutor(config.parallel) as pool:
        summaries = list(pool.map(lambda job: _run(config.work, job[0], job[1], options), jobs))
    rows = list(_rows(dict(zip(jobs, summaries, strict=True))))
    print_table("before and after RL on held-out requests", rows, has_total=False, words=2)
    write_text(config.work / "table.json", json.dumps(rows, indent=2))
    print_line(str(config.work / "table.json"))


def _run(work: Path, reading: str, seed: int, options: list[str]) -> dict:
    folder = work / f"{reading}-{seed}"
    kept = folder / "summary.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SCRIPT), "--seed", str(seed), "--runs", str(folder)]
        command += ["--reward.single-round", reading]
        command += ["--tracker.run-name", f"{reading}-{seed}", "--resume", *options]
        log = folder / "log.txt"
        with log.open("w") as output:
            subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
                # Threads of two processes on shared cores wait for each other, spinning.
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        last = log.read_text().strip().splitlines()[-1]
        write_text(kept, Path(last).read_text(encoding="utf-8"))
        print_line(f"{reading}, seed {seed}: {last}")
    return json.loads(kept.read_text(encoding="utf-8"))


def _rows(summaries: dict[tuple[str, int], dict]) -> Iterator[dict[str, str]]:
    for (reading, seed), summary in summaries.items():
        before, after = summary["before"], summary["after"]
        yield {
            "reading": reading,
            "seed": str(seed),
            "success": f"{100 * before['success']:.1f} > {100 * after['success']:.1f}",
            "gain": f"{100 * (after['success'] - before['success']):+.1f}",
            "p": f"{summary['p_value']:.1g}",
            "first picture": (
                f"{100 * before['first_success']:.1f} > {100 * after['first_success']:.1f}"
            ),
            "rounds": f"{before['rounds']:.2f} > {after['rounds']:.2f}",
            "minutes": f"{summary['seconds'] / 60:.1f}",
            "GiB": f"{summary['peak_memory_gib']:.1f}",
        }


if __name__ == "__main__":
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    main(tyro.cli(SeedsConfig, args=given[:cut]), given[cut + 1 :])
