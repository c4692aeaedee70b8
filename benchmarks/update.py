"""A step of GRPO by this update and by what else there is, side by side in one run.

    uv run benchmarks/update.py                                   # beside TRL
    uv run benchmarks/update.py --before ../genagent-4911335      # and beside the padded update
    uv run benchmarks/update.py --checkpointing --together 8 --trajectories 16

A random Qwen2.5-VL of half a billion parameters in float32, its vision tower frozen, and
trajectories of one to three pictures and two to four turns, a third of whose tokens are the
policy's. All contenders learn from the same tokens, pictures and advantages, and must find the same
norm of the gradient. Each is a process of its own; they take turns, in changing order:

    packed       this repository's update
    padded       that of the commit 4911335 (a checkout of it: git worktree add)
    trl          TRL's GRPOTrainer, given what it would have generated
    trl_compact  the same with its head on the completions' tokens alone, as TRL has it on a GPU;
                 on a CPU it computes the logits of prompts and pads as well

Tokens are the trajectories' own, pads not counted. Memory is the most that the process ever held.
Ratios are of the same round, median and range; above 1 the packed update is faster, or smaller.
The first time, uv fetches TRL into an environment of its own.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from update_work import UpdateWork, make_work, write_work

from genagent_data import write_text
from genagent_miniworld.load import quietly
from genagent_tracking import parse, print_error, print_line, print_table, waiting

TRL = "trl==1.16.0"
Name = Literal["packed", "padded", "trl", "trl_compact"]


@dataclass(frozen=True, kw_only=True)
class UpdateBenchmark:
    """What is measured."""

    contenders: tuple[Name, ...] = ("packed", "padded", "trl", "trl_compact")
    trajectories: int = 16
    """A step, of two requests."""
    together: int = 4
    """Trajectories that go through the model at once; as many tokens of them where batches are
    packed."""
    checkpointing: bool = False
    """Whether all of them compute activations again instead of keeping them."""
    steps: int = 2
    """That are timed, behind one that is not."""
    rounds: int = 3
    """Turns of each contender."""
    threads: int = 2
    before: Path | None = None
    """Checkout of the commit 4911335; without it the padded update does not take part."""
    policy: Path = Path("runs/rollout-half")
    """Where the half billion is built."""
    output: Path = Path("runs/update.json")

    def __post_init__(self) -> None:
        if self.trajectories % (2 * self.together):
            raise ValueError(
                f"trajectories is {self.trajectories} and together {self.together}; wants a "
                "multiple of twice as many"
            )


def take_turn(config: UpdateBenchmark, name: Name, work: Path) -> dict[str, Any]:
    """One contender's steps.

    Raises:
        RuntimeError: it fails; with its last lines.
    """
    here = Path(__file__).parent
    command = [sys.executable]
    # What is freed goes back at once: memory is what tensors take, not what malloc keeps.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576"}
    if name.startswith("trl"):
        command = ["uv", "run", "--quiet", "--with", TRL, "python"]
    elif name == "padded":
        assert config.before is not None
        packages = sorted(str(path) for path in (config.before / "packages").glob("*/src"))
        environment["PYTHONPATH"] = os.pathsep.join(packages)
    how = {
        "steps": config.steps,
        "together": config.together,
        "checkpointing": config.checkpointing,
        "threads": config.threads,
    }
    done = subprocess.run(
        [*command, str(here / "update_contender.py"), name, str(work), json.dumps(how)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def show(config: UpdateBenchmark, work: UpdateWork, turns: dict[str, list[dict[str, Any]]]) -> None:
    """The figures so far."""
    rows = [
        {
            "": name,
            "tokens/s": f"{work.tokens / statistics.median(_seconds(taken)):.0f}",
            "s a step": _spread(_seconds(taken)),
            "CPU s": f"{statistics.median(each for turn in taken for each in turn['cpu']):.1f}",
            "peak GiB": _spread([turn["peak_gib"] for turn in taken]),
            "padding": f"{taken[0]['padding']:.0%}",
            "x time": _ratio(turns, name, lambda turn: statistics.median(turn["seconds"])),
            "x memory": _ratio(turns, name, lambda turn: turn["peak_gib"]),
            "gradient": f"{taken[0]['grad_norm']:.4f}",
        }
        for name, taken in turns.items()
        if taken
    ]
    print_table(
        f"{len(work.trajectories)} trajectories of {work.tokens} tokens, "
        f"{work.policy_tokens / work.tokens:.0%} the policy's, {config.together} together, "
        f"activations {'computed again' if config.checkpointing else 'kept'}",
        rows,
        has_total=False,
    )


def _seconds(taken: list[dict[str, Any]]) -> list[float]:
    return [seconds for turn in taken for seconds in turn["seconds"]]


def _ratio(turns: dict[str, list[dict[str, Any]]], name: str, figure: Any) -> str:
    if name == "packed" or not turns.get("packed"):
        return ""
    return _spread(
        [
            figure(other) / figure(own)
            for other, own in zip(turns[name], turns["packed"], strict=False)
        ]
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def main(config: UpdateBenchmark) -> int:
    """All rounds, then the figures; returns the exit code."""
    quietly()
    with waiting("the policy and its trajectories", at_once=False):
        work = make_work(config.policy, config.trajectories)
    order: list[Name] = [name for name in config.contenders if name != "padded" or config.before]
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in order}
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "work.pt"
        write_work(work, path)
        for number in range(config.rounds):
            for name in order:
                try:
                    with waiting(f"round {number + 1}: {name}", at_once=False):
                        turns[name].append(take_turn(config, name, path))
                except RuntimeError as error:
                    print_error(str(error))
                    return 1
                last = turns[name][-1]
                print_line(f"{name}: {last['seconds']} s, {last['peak_gib']:.2f} GiB")
            order.append(order.pop(0))
            write_text(config.output, json.dumps(turns, indent=2))
    show(config, work, turns)
    print_line(str(config.output))
    return 0


if __name__ == "__main__":
    sys.exit(main(parse(UpdateBenchmark, sys.argv[1:], prog="update.py")))
