"""The default run over several seeds, and variants of the reward side by side.

    uv run benchmarks/rl_seeds.py --seeds 0 1 2 3 4 5
    uv run benchmarks/rl_seeds.py --seeds 0 1 2 --variants zero literal if_passed none
    uv run benchmarks/rl_seeds.py --variants none turn mine="--lr 1e-4" -- --world.tool sana-mini

Each run is ``experiments/rl_flux.py`` in a process of its own. A variant is a list of its options:
one of ``VARIANTS`` by name, or one of your own as ``name="--option value …"``; what follows ``--``
goes to all of them, a preset first. Runs whose summary is already in the work folder are not run
again, and one that was killed goes on; a folder that other options were run in is refused.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro

from genagent_data import read_jsonl, write_text
from genagent_tracking import print_line, print_table, waiting

SCRIPT = Path(__file__).parents[1] / "experiments" / "rl_flux.py"

VARIANTS: Mapping[str, str] = {
    "if_passed": "--reward.single-round if_passed",
    "zero": "--reward.single-round zero",
    "literal": "--reward.single-round literal",
    "none": "--reward.single-round none",
    "turn": "--reward.credit turn",
    "anchored": "--reward.anchored",
    "peak": "--reward.single-round none --reward.peak 0.3 --reward.retention -0.3 "
    "--reward.efficiency -0.05",
    "shared": "--reward.single-round zero --shared-first 0.5",
    "assessment": "--reward.assessment 0.1",
    "turn-assessment": "--reward.credit turn --reward.assessment 0.1",
}
"""Docs: docs/reward.md, section Options beside the paper's reward."""


WHEN = ("before", "after")
"""Evaluations of a run, and their files."""


@dataclass(frozen=True, kw_only=True)
class SeedsConfig:
    """Which runs to make."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    variants: tuple[str, ...] = ("if_passed",)
    """Names of VARIANTS, or your own as name="--option value …"."""
    work: Path = Path("runs/seeds")
    parallel: int = 2
    """Processes at a time, one thread each."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A run that has ended."""

    summary: dict
    folder: Path
    """Of the run itself, with ``after.jsonl``."""


def main(config: SeedsConfig, options: list[str]) -> None:
    """Run what is missing, then print one row a run."""
    variants = dict(_variant(given) for given in config.variants)
    is_preset = options and not options[0].startswith("-")
    preset, options = (options[:1], options[1:]) if is_preset else ([], options)
    jobs = [(name, seed) for seed in config.seeds for name in variants]

    def run(job: tuple[str, int]) -> Done:
        name, seed = job
        asked = [*preset, *variants[name], *options]
        return _run(config.work / f"{name}-{seed}", name, seed, asked)

    with waiting(f"{len(jobs)} runs"), ThreadPoolExecutor(config.parallel) as pool:
        done = dict(zip(jobs, pool.map(run, jobs), strict=True))
    rows = list(_rows(done))
    print_table("before and after RL on held-out requests", rows, has_total=False, words=2)
    write_text(config.work / "table.json", json.dumps(rows, indent=2))
    print_line(str(config.work / "table.json"))


def _variant(given: str) -> tuple[str, list[str]]:
    name, is_own, options = given.partition("=")
    if not is_own and name not in VARIANTS:
        known = ", ".join(VARIANTS)
        raise SystemExit(f'error: no variant {name!r}; known: {known}, or name="--option value"')
    return name, shlex.split(options if is_own else VARIANTS[name])


def _run(work: Path, name: str, seed: int, options: Sequence[str]) -> Done:
    asked, kept, log = work / "options.json", work / "summary.json", work / "log.txt"
    if asked.exists() and json.loads(asked.read_text(encoding="utf-8")) != list(options):
        raise SystemExit(f"error: {work} holds a run with other options; give another --work")
    if not kept.exists():
        work.mkdir(parents=True, exist_ok=True)
        write_text(asked, json.dumps(list(options)))
        command = [sys.executable, str(SCRIPT), *options, "--seed", str(seed), "--resume"]
        command += ["--runs", str(work), "--tracker.run-name", f"{name}-{seed}"]
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
        print_line(f"{name}, seed {seed}: {last}")
    last = Path(log.read_text().strip().splitlines()[-1])
    return Done(summary=json.loads(kept.read_text(encoding="utf-8")), folder=last.parent)


def _rows(done: Mapping[tuple[str, int], Done]) -> Iterator[dict[str, str]]:
    for (name, seed), run in done.items():
        before, after = run.summary["before"], run.summary["after"]

        def change(figure: str, before: dict = before, after: dict = after) -> str:
            return f"{100 * before[figure]:.1f} > {100 * after[figure]:.1f}"

        yield {
            "variant": name,
            "seed": str(seed),
            "success": change("success"),
            "p": f"{run.summary['p_value']:.1g}",
            "first picture": change("first_success"),
            "repaired": " > ".join(_repaired(run.folder / f"{when}.jsonl") for when in WHEN),
            "spoilt": " > ".join(_spoilt(run.folder / f"{when}.jsonl") for when in WHEN),
            "agreement": change("judgement_agreement"),
            "rounds": f"{before['rounds']:.2f} > {after['rounds']:.2f}",
            "seconds": f"{run.summary['seconds']:.0f}",
        }


def _repaired(path: Path) -> str:
    """Of the requests whose first picture failed, those whose last is right: ``62 of 211``."""
    failed = [marks for marks in _marks(path) if marks and marks[0] is False]
    return _share([marks[-1] is True for marks in failed])


def _spoilt(path: Path) -> str:
    """Of the requests with a right picture, those with a wrong one after it."""
    had = [marks for marks in _marks(path) if True in marks]
    return _share([False in marks[marks.index(True) :] for marks in had])


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits)} of {len(hits)}"


def _marks(path: Path) -> list[list[bool | None]]:
    """Whether each picture of each request is right, by the truth or else by the judge."""

    def marks(row: dict) -> list[bool | None]:
        words = [one["truth"] or one["judge"] for one in row["pictures"] if one["file"]]
        return [None if word is None else word["right"] for word in words]

    return read_jsonl(path, marks)


if __name__ == "__main__":
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    main(tyro.cli(SeedsConfig, args=given[:cut]), given[cut + 1 :])
