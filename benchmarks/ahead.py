"""Steps of learning with and without the next step's attempts sampled meanwhile, side by side.

    uv run benchmarks/ahead.py                       # the miniature, a tool of 1 s, three pairs
    uv run benchmarks/ahead.py --seconds 0 --pairs 5

The miniature's default step (16 requests, 12 attempts, 8 kept, four optimizer steps) from the
policy ``sft``, in turn without and with ``one_step_off``, each from the beginning; both weigh
tokens (``truncate_at`` 2), so that they do the same work. The tool waits and then shows a scene of
its own, as servers elsewhere would, any number of pictures at once; the exact verifier judges.
Timed is from the moment the first sample is there to the moment the last one is, so that each step
is an update and a sample in both; the ratio is of one pair's steps a minute. "CPU s" is the
process's: two threads take two cores where two are free.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from genagent_data import PictureStore, derive_seed, write_text
from genagent_miniworld import Miniature, random_scene, render
from genagent_policy import GRPOConfig, GRPOUpdate, Policy
from genagent_rewards import RewardConfig
from genagent_rollout import (
    DynamicSample,
    Engine,
    EngineConfig,
    GroupConfig,
    SamplingConfig,
    StepSamples,
    sample_step,
)
from genagent_tracking import parse, print_line, print_table
from genagent_worlds import World, open_reward


@dataclass(frozen=True, kw_only=True)
class AheadBenchmark:
    """What is measured."""

    seconds: float = 1.0
    """A picture takes."""
    pairs: int = 3
    steps: int = 4
    """Of each run, that are timed."""
    requests: int = 16
    """Of a step."""
    threads: int = 1
    output: Path = Path("runs/ahead.json")

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise ValueError(f"seconds is {self.seconds}; wants 0 or more")
        for name in ("pairs", "steps", "requests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")


class SlowTool:
    """Shows one to three things, of the right kind now and then, after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        await asyncio.sleep(self._seconds)
        rng = random.Random(seed)
        return render(random_scene(rng, rng.randint(1, 3)), seed=seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """One run."""

    seconds: float
    cpu: float
    updates: float
    """Seconds of all updates."""
    steps: int

    @property
    def steps_a_minute(self) -> float:
        return 60 * self.steps / self.seconds


def play(config: AheadBenchmark, world: World, *, ahead: bool) -> Played:
    """One run, from the policy that ships."""
    groups = GroupConfig(requests_per_step=config.requests, one_step_off=ahead)
    grpo = GRPOConfig(learning_rate=1e-4, updates_per_batch=4, truncate_at=2.0)
    policy = Policy.load(world.policies["sft"])
    update = GRPOUpdate(policy, grpo)
    reward = open_reward(world.judges, RewardConfig())
    with tempfile.TemporaryDirectory() as folder:
        store = PictureStore(Path(folder))
        engine = EngineConfig().open(policy, SamplingConfig(), Path(folder), ahead=ahead)

        def sample(engine: Engine, step: int) -> DynamicSample:
            coin = derive_seed(0, "judge", step)
            return sample_step(
                engine,
                world,
                groups,
                lambda cases: reward.score(cases, seed=coin),
                seed=0,
                step=step,
                pictures=store,
            )

        updates = 0.0
        with StepSamples(sample, engine, steps=config.steps + 1, ahead=ahead) as samples:
            found = samples.take(0)
            started, cpu = time.perf_counter(), time.process_time()
            for step in range(config.steps):
                with samples.learning(step):
                    updates += update.update(found.learnable).seconds
                found = samples.take(step + 1)
        return Played(
            seconds=time.perf_counter() - started,
            cpu=time.process_time() - cpu,
            updates=updates,
            steps=config.steps,
        )


def main(config: AheadBenchmark) -> None:
    """All pairs, then the figures."""
    torch.set_num_threads(config.threads)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        world = Miniature(judge="verifier").open(Path(folder), seed=0)
    world = replace(world, tool=SlowTool(config.seconds))
    play(replace(config, steps=1, requests=1), world, ahead=True)  # what is loaded at first use
    played: dict[str, list[Played]] = {"one after the other": [], "one step ahead": []}
    for pair in range(config.pairs):
        order = list(played) if pair % 2 == 0 else list(reversed(played))
        for name in order:
            one = play(config, world, ahead=name == "one step ahead")
            played[name].append(one)
            print_line(
                f"{name}: {one.steps_a_minute:.2f} steps/min, {one.updates:.1f} of "
                f"{one.seconds:.1f} s in updates"
            )
            rows = {n: [[o.seconds, o.cpu, o.updates] for o in ones] for n, ones in played.items()}
            write_text(config.output, json.dumps(rows, indent=2))
    plain, ahead = played.values()
    rows = [
        {
            "": name,
            "steps/min": _spread([one.steps_a_minute for one in ones]),
            "s a step": _spread([one.seconds / one.steps for one in ones]),
            "CPU s a step": _spread([one.cpu / one.steps for one in ones]),
        }
        for name, ones in played.items()
    ]
    print_table(f"{config.seconds:g} s a picture, {config.steps} steps", rows, has_total=False)
    pairs = zip(ahead, plain, strict=True)
    ratios = [ours.steps_a_minute / theirs.steps_a_minute for ours, theirs in pairs]
    print_line(f"ahead: {_spread(ratios)} times the steps a minute; median [least, most]")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main(parse(AheadBenchmark, sys.argv[1:], prog="ahead.py"))
