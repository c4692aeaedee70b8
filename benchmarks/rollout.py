"""Rollouts of three rounds by this engine and by what else there is, side by side in one run.

    uv run benchmarks/rollout.py                                  # the miniature and half a billion
    uv run benchmarks/rollout.py --sizes mini --seconds 0         # quicker
    uv run benchmarks/rollout.py --before ../genagent-fa7c8a3     # with the lock-step engine
    GENAGENT_VLLM_URL=http://127.0.0.1:18900 uv run benchmarks/rollout.py --sizes half

Twelve trajectories a request, four turns each with a picture between, all tokens written
beforehand, so that every contender says the same. All take a turn in each round, in changing order:

    engine    this repository's, one coroutine a trajectory
    generate  transformers.generate, in lock-step, everything computed again in each round
    before    the lock-step engine of the commit fa7c8a3 (a checkout of it: git worktree add)
    vllm      a server of the same policy; the half billion lies in runs/rollout-half afterwards

A picture takes some seconds, and some are drawn at once. "CPU s" is the contender's own process: on
a machine with other work it says more than the clock (a server's is not seen). Ratios are of the
same round's seconds, median and range; above 1 the engine is faster. Where a picture takes time,
the engine is compared with the longer of its turns without a tool and the pictures without turns.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rollout_rivals import Before, Contender, Generate, Ours, Play, Vllm
from rollout_work import ROUNDS, SlowServers, Work, load, make_work

from genagent_data import write_text
from genagent_miniworld.load import quietly
from genagent_tracking import parse, print_line, print_table, waiting

SIDES = {"mini": 48, "half": 168}
"""Of a picture, pixels: 9 tokens of the miniature, 36 of the half billion."""


@dataclass(frozen=True, kw_only=True)
class RolloutBenchmark:
    """What is measured."""

    sizes: tuple[Literal["mini", "half"], ...] = ("mini", "half")
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    seconds: tuple[float, ...] = (0.0, 0.5, 2.0)
    """A picture takes."""
    places: int = 16
    """Pictures drawn at once."""
    mini_requests: int = 16
    half_requests: int = 1
    rounds: int = 3
    """Turns of each contender."""
    threads: int = 1
    leave_out: tuple[Literal["engine", "generate"], ...] = ()
    """Contenders that do not take part."""
    before: Path | None = None
    """Checkout of the commit fa7c8a3."""
    policy: Path = Path("runs/rollout-half")
    """Where the half billion is built; a vLLM can serve it from there."""
    output: Path = Path("runs/rollout.json")


def measure(config: RolloutBenchmark, size: str, dtype: str) -> list[dict[str, object]]:
    """All speeds of the tool with one policy."""
    policy = load(size, dtype, config.policy)
    requests = config.mini_requests if size == "mini" else config.half_requests
    work = make_work(policy, requests, SIDES[size])
    contenders: dict[str, Contender] = {"engine": Ours(policy, work)}
    contenders["generate"] = Generate(policy, work)
    contenders = {k: v for k, v in contenders.items() if k not in config.leave_out}
    with ExitStack() as stack:
        if config.before is not None:
            words = [size, dtype, config.policy, requests, SIDES[size], config.threads]
            before = Before(config.before, [str(word) for word in words])
            stack.callback(before.close)
            contenders["before"] = before
        if url := os.environ.get("GENAGENT_VLLM_URL"):
            contenders["vllm"] = Vllm(url, policy, work)
        # Once for what is loaded at first use; a play of the half billion hides that.
        for contender in contenders.values() if size == "mini" else ():
            contender.play(0.0, config.places)
        results = [
            compare(config, contenders, work, f"{size}, {dtype}", seconds)
            for seconds in config.seconds
        ]
    return results


def compare(
    config: RolloutBenchmark,
    contenders: dict[str, Contender],
    work: Work,
    title: str,
    seconds: float,
) -> dict[str, object]:
    """All contenders in turn."""
    plays: dict[str, list[Play]] = {name: [] for name in contenders}
    alone: list[float] = []
    order = list(contenders)
    for _ in range(config.rounds):
        for name in order:
            with waiting(f"{title}, {seconds:g} s a picture: {name}", at_once=False):
                plays[name].append(contenders[name].play(seconds, config.places))
            print_line(f"{title}, {seconds:g} s: {name} {plays[name][-1].seconds:.1f} s")
            if name == "engine" and seconds:
                decoding = contenders[name].play(0.0, config.places).seconds
                alone.append(max(decoding, pictures_alone(work, seconds, config.places)))
        order.append(order.pop(0))
    rows = [
        {
            "": name,
            "seconds": _spread([play.seconds for play in played]),
            "CPU s": f"{_median([play.cpu for play in played]):.2f}",
            "tokens/s": f"{played[0].tokens / _median([play.seconds for play in played]):.0f}",
            "x engine": _ratio(plays, name),
        }
        for name, played in plays.items()
    ]
    trajectories = len(work.requests)
    print_table(
        f"{title}: {trajectories} trajectories, {seconds:g} s a picture", rows, has_total=False
    )
    result: dict[str, object] = {"title": title, "picture_seconds": seconds}
    result["plays"] = {
        name: [{slot: getattr(play, slot) for slot in Play.__slots__} for play in played]
        for name, played in plays.items()
    }
    if "engine" in plays:
        shares = [100 * play.scheduling for play in plays["engine"]]
        print_line(f"the engine's scheduling: {_spread(shares)} % of its time")
    if alone:
        ratios = [
            play.seconds / longest for play, longest in zip(plays["engine"], alone, strict=True)
        ]
        print_line(f"the engine: {_spread(ratios)} times max(decoding alone, pictures alone)")
        result["alone"] = alone
    return result


def pictures_alone(work: Work, seconds: float, places: int) -> float:
    """Seconds for all pictures where no turn takes any time."""
    tool = SlowServers(work, seconds=seconds, places=places)

    async def one() -> None:
        for _ in range(ROUNDS):
            await tool.draw_one("", 0)

    async def everyone() -> None:
        await asyncio.gather(*(one() for _ in work.requests))

    started = time.perf_counter()
    asyncio.run(everyone())
    return time.perf_counter() - started


def _ratio(plays: dict[str, list[Play]], name: str) -> str:
    if name == "engine" or "engine" not in plays:
        return ""
    pairs = zip(plays[name], plays["engine"], strict=True)
    return _spread([other.seconds / ours.seconds for other, ours in pairs])


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _spread(values: list[float]) -> str:
    return f"{_median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def main(config: RolloutBenchmark) -> None:
    """All policies, then the figures."""
    quietly()
    torch.set_num_threads(config.threads)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, object]] = []
    for size in config.sizes:
        for dtype in config.dtypes:
            results += measure(config, size, dtype)
            write_text(config.output, json.dumps(results, indent=2))
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(RolloutBenchmark, sys.argv[1:], prog="rollout.py"))
